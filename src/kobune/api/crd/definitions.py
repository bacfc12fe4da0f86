"""The kinds that Kobune defines: names, versions, columns of `kubectl get`, subresources.

Source: the names and columns that KubeVirt's clients know.
"""

from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from kobune.api.crd.schema import structural_schema
from kobune.api.kubevirt import (
    KubeVirt,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineInstanceReplicaSet,
)

__all__ = ["Column", "Definition", "all_definitions", "definition_of"]

CustomResource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column; `priority` 1 shows it with `-o wide` only."""

    name: str
    type: str
    path: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """One kind. `versions` are all served, with one schema; the first is the stored one."""

    group: str
    versions: tuple[str, ...]
    kind: str
    type: type[Struct]
    plural: str
    short_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    namespaced: bool = True
    status: bool = True
    scale_selector: str = ""
    deprecations: tuple[tuple[str, str], ...] = ()
    """Versions that are going away, each with its warning."""
    categories: tuple[str, ...] = ("all",)


_AGE = Column("Age", "date", ".metadata.creationTimestamp")
_PHASE = Column("Phase", "string", ".status.phase")
_READY = Column("Ready", "string", ".status.conditions[?(@.type=='Ready')].status")
_SCALED = (
    Column("Desired", "integer", ".spec.replicas"),
    Column("Current", "integer", ".status.replicas"),
    Column("Ready", "integer", ".status.readyReplicas"),
    _AGE,
)
_KUBEVIRT_VERSIONS = ("v1", "v1alpha3")
_OLD = (("v1alpha3", "kubevirt.io/v1alpha3 is now deprecated and will be removed in a future release."),)
_OLD_PRESETS = (
    ("v1", "kubevirt.io/v1 VirtualMachineInstancePresets is now deprecated and will be removed in v2."),
    ("v1alpha3", "kubevirt.io/v1alpha3 VirtualMachineInstancePresets is now deprecated and will be removed in v2."),
)

_DEFINITIONS = (
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachine", VirtualMachine, "virtualmachines", ("vm", "vms"),
        (_AGE, Column("Status", "string", ".status.printableStatus"), _READY), deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstance", VirtualMachineInstance,
        "virtualmachineinstances", ("vmi", "vmis"),
        (
            _AGE,
            _PHASE,
            Column("IP", "string", ".status.interfaces[0].ipAddress"),
            Column("NodeName", "string", ".status.nodeName"),
            _READY,
            Column("Live-Migratable", "string", ".status.conditions[?(@.type=='LiveMigratable')].status", 1),
            Column("Paused", "string", ".status.conditions[?(@.type=='Paused')].status", 1),
        ),
        status=False, deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstanceReplicaSet", VirtualMachineInstanceReplicaSet,
        "virtualmachineinstancereplicasets", ("vmirs", "vmirss"), _SCALED, scale_selector=".status.labelSelector",
        deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstancePreset", VirtualMachineInstancePreset,
        "virtualmachineinstancepresets", ("vmipreset", "vmipresets"), (_AGE,), status=False, deprecations=_OLD_PRESETS,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "VirtualMachineInstanceMigration", VirtualMachineInstanceMigration,
        "virtualmachineinstancemigrations", ("vmim", "vmims"),
        (_PHASE, Column("VMI", "string", ".spec.vmiName")), deprecations=_OLD,
    ),
    Definition(
        "kubevirt.io", _KUBEVIRT_VERSIONS, "KubeVirt", KubeVirt, "kubevirts", ("kv", "kvs"), (_AGE, _PHASE),
        deprecations=_OLD,
    ),
)  # fmt: skip


def all_definitions() -> list[CustomResource]:
    """Every CustomResourceDefinition, ready to be applied."""
    return [definition_of(definition) for definition in _DEFINITIONS]


def definition_of(definition: Definition) -> CustomResource:
    """Render one CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    names: dict[str, Any] = {
        "kind": definition.kind,
        "listKind": f"{definition.kind}List",
        "plural": definition.plural,
        "singular": definition.kind.lower(),
    }
    if definition.short_names:
        names["shortNames"] = list(definition.short_names)
    if definition.categories:
        names["categories"] = list(definition.categories)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{definition.plural}.{definition.group}",
            "labels": {"app.kubernetes.io/part-of": "kobune"},
        },
        "spec": {
            "group": definition.group,
            "names": names,
            "scope": "Namespaced" if definition.namespaced else "Cluster",
            "versions": [
                _version(definition, version, stored=version == definition.versions[0])
                for version in definition.versions
            ],
        },
    }


def _version(definition: Definition, name: str, *, stored: bool) -> dict[str, Any]:
    subresources: dict[str, Any] = {}
    if definition.status:
        subresources["status"] = {}
    if definition.scale_selector:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": definition.scale_selector,
        }
    version: dict[str, Any] = {
        "name": name,
        "served": True,
        "storage": stored,
        "schema": {"openAPIV3Schema": structural_schema(definition.type)},
    }
    if (warning := dict(definition.deprecations).get(name)) is not None:
        version["deprecated"] = True
        version["deprecationWarning"] = warning
    if subresources:
        version["subresources"] = subresources
    if definition.columns:
        version["additionalPrinterColumns"] = [_column(column) for column in definition.columns]
    return version


def _column(column: Column) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.priority:
        rendered["priority"] = column.priority
    return rendered
