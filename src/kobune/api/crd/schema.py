"""Structural OpenAPI schemas of API types.

Owns: the mapping from a msgspec Struct to the schema that an API server prunes and validates by. What a Python type
cannot say (allowed words, keys of map-like lists) stands in `_DETAILS`. Source: structural schemas of apiextensions/v1.
"""

import re
from functools import cache
from typing import Any

import msgspec.inspect as mi
from msgspec import Struct

from kobune.api.crd.field_docs import field_docs
from kobune.api.meta import LabelSelector, ObjectMeta

__all__ = ["Schema", "structural_schema"]

Schema = dict[str, Any]

_QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_PULL_POLICIES = {"enum": ["Always", "IfNotPresent", "Never"]}
_VOLUME_MODES = {"enum": ["Block", "Filesystem", "FromStorageProfile"]}
_NAMED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}

_DETAILS: dict[tuple[str, str], Schema] = {
    ("HTTPGetAction", "scheme"): {"enum": ["HTTP", "HTTPS"]},
    ("NodeSelectorRequirement", "operator"): {"enum": ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"]},
    ("PersistentVolumeClaimSpec", "volumeMode"): _VOLUME_MODES,
    ("PersistentVolumeClaimInfo", "volumeMode"): _VOLUME_MODES,
    ("StorageSpec", "volumeMode"): _VOLUME_MODES,
    ("Toleration", "effect"): {"enum": ["NoExecute", "NoSchedule", "PreferNoSchedule"]},
    ("Toleration", "operator"): {"enum": ["Equal", "Exists"]},
    ("TopologySpreadConstraint", "nodeAffinityPolicy"): {"enum": ["Honor", "Ignore"]},
    ("TopologySpreadConstraint", "nodeTaintsPolicy"): {"enum": ["Honor", "Ignore"]},
    ("TopologySpreadConstraint", "whenUnsatisfiable"): {"enum": ["DoNotSchedule", "ScheduleAnyway"]},
    ("ContainerDiskSource", "imagePullPolicy"): _PULL_POLICIES,
    ("KernelBootContainer", "imagePullPolicy"): _PULL_POLICIES,
    ("KubeVirtConfiguration", "imagePullPolicy"): _PULL_POLICIES,
    ("KubeVirtSpec", "imagePullPolicy"): _PULL_POLICIES,
    ("VirtualMachineInstanceSpec", "dnsPolicy"): {
        "enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]
    },
    ("VirtualMachineInstanceStatus", "qosClass"): {"enum": ["BestEffort", "Burstable", "Guaranteed"]},
    ("DataVolumeTemplateSpec", "status"): {"nullable": True},
    ("VirtualMachineInstanceSpec", "resourceClaims"): {**_NAMED, "maxItems": 16},
    ("VirtualMachineInstanceSpec", "utilityVolumes"): _NAMED,
    ("VirtualMachineInstanceSpec", "topologySpreadConstraints"): {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["topologyKey", "whenUnsatisfiable"],
    },
    ("KubeVirtConfiguration", "supportContainerResources"): {
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    },
    ("CPU", "cores"): {"minimum": 0},
    ("CPU", "sockets"): {"minimum": 0},
    ("CPU", "threads"): {"minimum": 0},
    ("CPU", "maxSockets"): {"minimum": 0},
    ("VirtualMachineRestoreSpec", "targetReadinessPolicy"): {"default": "WaitGracePeriod"},
    ("MemoryInstancetype", "overcommitPercent"): {"minimum": 0, "maximum": 100},
}


_RULES: dict[str, list[Schema]] = {
    "VirtualMachineInstanceResourceClaim": [
        {
            "rule": "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
            "message": "exactly one of resourceClaimName and resourceClaimTemplateName must be set",
        }
    ],
    "VolumeSnapshotSource": [
        {
            "rule": "!has(oldSelf.persistentVolumeClaimName) || has(self.persistentVolumeClaimName)",
            "message": "persistentVolumeClaimName is required once set",
        },
        {
            "rule": "!has(oldSelf.volumeSnapshotContentName) || has(self.volumeSnapshotContentName)",
            "message": "volumeSnapshotContentName is required once set",
        },
        {
            "rule": "has(self.volumeSnapshotContentName) != has(self.persistentVolumeClaimName)",
            "message": "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set",
        },
    ],
    "VolumeSnapshotContentSource": [
        {
            "rule": "!has(oldSelf.volumeHandle) || has(self.volumeHandle)",
            "message": "volumeHandle is required once set",
        },
        {
            "rule": "!has(oldSelf.snapshotHandle) || has(self.snapshotHandle)",
            "message": "snapshotHandle is required once set",
        },
        {
            "rule": "has(self.volumeHandle) != has(self.snapshotHandle)",
            "message": "exactly one of volumeHandle and snapshotHandle must be set",
        },
    ],
    "VolumeSnapshotContentSpec": [
        {
            "rule": "!has(oldSelf.sourceVolumeMode) || has(self.sourceVolumeMode)",
            "message": "sourceVolumeMode is required once set",
        }
    ],
}
"""CEL rules per type: what one field says about another."""


@cache
def structural_schema(kind: type[Struct]) -> Schema:
    """The schema of a top-level kind: apiVersion, kind and metadata are the server's business."""
    schema = _object(mi.type_info(kind), top_level=True)
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **schema["properties"],
        "metadata": {"type": "object"},
    }
    return schema


def _object(info: mi.Type, *, top_level: bool = False) -> Schema:
    assert isinstance(info, mi.StructType)
    if info.cls is ObjectMeta:
        return {
            "type": "object",
            "description": "Name, labels and annotations, as of every object.",
            "nullable": True,
            "x-kubernetes-preserve-unknown-fields": True,
        }
    properties: Schema = {}
    docs = field_docs(info.cls)
    for item in info.fields:
        if top_level and item.encode_name == "metadata":
            continue
        schema = _schema(item.type)
        if text := docs.get(item.name):
            schema["description"] = _in_wire_names(text)
        schema.update(_DETAILS.get((info.cls.__name__, item.encode_name), {}))
        properties[item.encode_name] = schema
    schema = {"type": "object", "properties": properties}
    if text := (info.cls.__doc__ or "").strip():
        schema["description"] = _in_wire_names(text)
    if rules := _RULES.get(info.cls.__name__):
        schema["x-kubernetes-validations"] = rules
    required = [item.encode_name for item in info.fields if item.required]
    if required:
        schema["required"] = required
    if info.cls is LabelSelector:
        schema["x-kubernetes-map-type"] = "atomic"
    if not properties:
        del schema["properties"]
    return schema


def _in_wire_names(text: str) -> str:
    """A docstring for readers of manifests: attributes that it quotes, as `run_strategy`, become `runStrategy`."""
    return re.sub(r"(?<=[`a-z0-9])_([a-z0-9])(?=[a-z0-9_]*`)", lambda found: found[1].upper(), text)


def _schema(info: mi.Type) -> Schema:
    match info:
        case mi.Metadata(type=inner, extra=extra):
            return {**_schema(inner), **(extra or {})}
        case mi.UnionType(types=types):
            return _union([item for item in types if not isinstance(item, mi.NoneType)])
        case mi.StructType():
            return _object(info)
        case mi.ListType(item_type=item):
            return {"type": "array", "items": _schema(item), "x-kubernetes-list-type": "atomic"}
        case mi.DictType(value_type=mi.AnyType()):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        case mi.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _schema(value)}
        case mi.BoolType():
            return {"type": "boolean"}
        case mi.IntType():
            return {"type": "integer"}
        case mi.FloatType():
            return {"type": "number"}
        case mi.StrType():
            return {"type": "string"}
        case mi.AnyType():
            return {"x-kubernetes-preserve-unknown-fields": True}
    raise TypeError(f"{info!r} has no structural schema")


def _union(types: list[mi.Type]) -> Schema:
    """`X | None` is X; int-or-string and quantities are the only unions of the API conventions."""
    if len(types) == 1:
        return _schema(types[0])
    names = {type(item) for item in types}
    both = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    if names == {mi.IntType, mi.StrType}:
        return both
    if names == {mi.IntType, mi.StrType, mi.FloatType}:
        return {**both, "pattern": _QUANTITY}
    raise TypeError(f"the union of {types!r} has no structural schema")
