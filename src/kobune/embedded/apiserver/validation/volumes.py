"""Rules of persistent volumes, their claims and storage classes."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_subdomain, is_qualified_name
from kobune.embedded.apiserver.validation.checks import amount, immutable, one_of
from kobune.embedded.apiserver.validation.metadata import selector
from kobune.embedded.apiserver.validation.pod_placement import node_selector
from kobune.embedded.apiserver.validation.pod_sources import no_backsteps

__all__ = [
    "claim_create",
    "claim_update",
    "storage_class",
    "storage_class_update",
    "volume_create",
    "volume_update",
]

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)
_NEEDED = {"nfs": ("server", "path"), "local": ("path",), "hostPath": ("path",), "csi": ("driver", "volumeHandle")}
_ALONE = "may not use ReadWriteOncePod with other access modes"
_PARAMETERS_BYTES = 256 * 1024

Spec = dict[str, Any]


def claim_create(obj: dict[str, Any]) -> list[FieldError]:
    """A claim's access modes, size, selector and source."""
    spec = obj.get("spec") or {}
    errors = _modes(spec.get("accessModes") or [], "at least 1 access mode is required")
    if spec.get("selector"):
        errors += selector(spec["selector"], "spec.selector")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        errors.append(FieldError.required("spec.resources[storage]"))
    elif amount(size) <= 0:
        errors.append(FieldError.invalid("spec.resources[storage]", size, "must be greater than zero"))
    errors += one_of(spec.get("volumeMode"), ("Block", "Filesystem"), "spec.volumeMode")
    errors += _class(spec)
    for field in ("dataSource", "dataSourceRef"):
        if spec.get(field) is not None:
            errors += _data_source(spec[field], f"spec.{field}")
    return errors


def _modes(modes: list[str], none: str) -> list[FieldError]:
    errors = [] if modes else [FieldError.required("spec.accessModes", none)]
    for mode in modes:
        errors += one_of(mode, _MODES, "spec.accessModes")
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        errors.append(FieldError.forbidden("spec.accessModes", _ALONE))
    return errors


def _class(spec: Spec) -> list[FieldError]:
    name = spec.get("storageClassName")
    return [FieldError.invalid("spec.storageClassName", name, m) for m in is_dns1123_subdomain(name)] if name else []


def _data_source(source: dict[str, Any], path: str) -> list[FieldError]:
    errors = [FieldError.required(f"{path}.{field}") for field in ("name", "kind") if not source.get(field)]
    kind = source.get("kind")
    if not source.get("apiGroup") and kind and kind != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(FieldError.invalid(path, kind, text))
    return errors


def claim_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A claim's spec stays, but that it may be bound and, when bound, grow."""
    errors = claim_create(obj)
    new_spec, old_spec = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    before = ((old_spec.get("resources") or {}).get("requests") or {}).get("storage")
    after = ((new_spec.get("resources") or {}).get("requests") or {}).get("storage")
    if not old_spec.get("volumeName"):
        old_spec.pop("volumeName", None)
        new_spec.pop("volumeName", None)
    if old_spec.get("storageClassName") is None:
        new_spec.pop("storageClassName", None)
        old_spec.pop("storageClassName", None)
    for name in ("resources", "volumeAttributesClassName"):
        new_spec.pop(name, None)
        old_spec.pop(name, None)
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if new_spec != old_spec or (before != after and not bound):
        text = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        errors.append(FieldError.forbidden("spec", text))
    elif before is not None and after is not None and amount(after) < amount(before):
        errors.append(
            FieldError.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
        )
    return errors


def volume_create(obj: dict[str, Any]) -> list[FieldError]:
    """A persistent volume's capacity, access modes, source and place."""
    spec = obj.get("spec") or {}
    errors = _modes(spec.get("accessModes") or [], "")
    capacity = spec.get("capacity") or {}
    if not capacity:
        errors.append(FieldError.required("spec.capacity"))
    elif set(capacity) != {"storage"}:
        errors.append(FieldError.not_supported("spec.capacity", capacity, ("storage",)))
    elif amount(capacity["storage"]) <= 0:
        errors.append(FieldError.invalid("spec.capacity[storage]", capacity["storage"], "must be greater than zero"))
    policy = spec.get("persistentVolumeReclaimPolicy")
    errors += one_of(policy, ("Delete", "Recycle", "Retain"), "spec.persistentVolumeReclaimPolicy")
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            text = "must specify required node constraints"
            errors.append(FieldError.required("spec.nodeAffinity.required", text))
        else:
            errors += node_selector(affinity["required"], "spec.nodeAffinity.required")
    errors += _source(spec)
    if policy == "Recycle" and (spec.get("hostPath") or {}).get("path") == "/":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(FieldError.forbidden("spec.persistentVolumeReclaimPolicy", text))
    errors += _class(spec)
    return errors + one_of(spec.get("volumeMode"), ("Block", "Filesystem"), "spec.volumeMode")


def _source(spec: Spec) -> list[FieldError]:
    found = [name for name in _SOURCES if spec.get(name) is not None]
    if not found:
        return [FieldError.required("spec", "must specify a volume type")]
    text = "may not specify more than 1 volume type"
    errors = [FieldError.forbidden(f"spec.{extra}", text) for extra in found[1:]]
    kind, source = found[0], spec[found[0]]
    at = f"spec.{kind}"
    errors += [FieldError.required(f"{at}.{field}") for field in _NEEDED.get(kind, ()) if not source.get(field)]
    if kind in ("hostPath", "local"):
        errors += no_backsteps(source.get("path", ""), f"{at}.path")
    if kind == "nfs" and source.get("path") and not source["path"].startswith("/"):
        errors.append(FieldError.invalid(f"{at}.path", source["path"], "must be an absolute path"))
    if kind == "local" and not spec.get("nodeAffinity"):
        errors.append(FieldError.required("spec.nodeAffinity", "Local volume requires node affinity"))
    return errors


def volume_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """A volume's source never changes."""
    errors = volume_create(obj)
    mutable = {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
    new_source = {k: v for k, v in (obj.get("spec") or {}).items() if k not in mutable}
    old_source = {k: v for k, v in (old.get("spec") or {}).items() if k not in mutable}
    if new_source != old_source:
        text = "spec.persistentvolumesource is immutable after creation"
        errors.append(FieldError.forbidden("spec.persistentvolumesource", text))
    errors += immutable(
        (obj.get("spec") or {}).get("volumeMode"), (old.get("spec") or {}).get("volumeMode"), "spec.volumeMode"
    )
    return errors


def storage_class(obj: dict[str, Any]) -> list[FieldError]:
    """A provisioner, its parameters and policies."""
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        errors = [FieldError.required("provisioner")]
    else:
        errors = [FieldError.invalid("provisioner", provisioner, m) for m in is_qualified_name(provisioner.lower())]
    parameters = obj.get("parameters") or {}
    if "" in parameters:
        errors.append(FieldError.invalid("parameters", "", "field can not be empty."))
    if sum(len(key) + len(value) for key, value in parameters.items()) > _PARAMETERS_BYTES:
        errors.append(FieldError.too_long("parameters", _PARAMETERS_BYTES))
    errors += one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), "reclaimPolicy")
    errors += one_of(obj.get("volumeBindingMode"), ("Immediate", "WaitForFirstConsumer"), "volumeBindingMode")
    for i, term in enumerate(obj.get("allowedTopologies") or ()):
        for j, expression in enumerate(term.get("matchLabelExpressions") or ()):
            at, key = f"allowedTopologies[{i}].matchLabelExpressions[{j}]", expression.get("key", "")
            if not expression.get("values"):
                errors.append(FieldError.required(f"{at}.values"))
            errors += [FieldError.invalid(f"{at}.key", key, m) for m in is_qualified_name(key)]
    return errors


def storage_class_update(obj: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Most of a storage class never changes."""
    errors: list[FieldError] = []
    if (obj.get("parameters") or {}) != (old.get("parameters") or {}):
        errors.append(FieldError.forbidden("parameters", "updates to parameters are forbidden."))
    if obj.get("provisioner") != old.get("provisioner"):
        errors.append(FieldError.forbidden("provisioner", "updates to provisioner are forbidden."))
    if obj.get("reclaimPolicy") != old.get("reclaimPolicy"):
        errors.append(FieldError.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
    return errors + immutable(obj.get("volumeBindingMode"), old.get("volumeBindingMode"), "volumeBindingMode")
