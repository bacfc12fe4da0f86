"""The machines of a pool: their names, and how each differs from the template by its number."""

from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachine
from kobune.api.pool import VirtualMachinePool
from kobune.kube.client.kubevirt_groups import VIRTUAL_MACHINE_POOLS
from kobune.kube.client.objects import owner_reference

__all__ = ["REVISION_LABEL", "index_of", "member", "member_spec", "revision_name", "template_of"]

REVISION_LABEL: Final = "kubevirt.io/vm-pool-revision-name"
"""On a machine and, through its template, on its instance: the revision of the pool that each was made from."""

_IDENTITY: Final = ("uuid", "serial")


def revision_name(pool: VirtualMachinePool) -> str:
    """The name of the ControllerRevision of the pool's present generation."""
    return f"{pool.metadata.name}-{pool.metadata.generation}"


def template_of(pool: VirtualMachinePool) -> dict[str, Any]:
    """What machines are made from, as JSON."""
    template: dict[str, Any] = msgspec.to_builtins(pool.spec.virtual_machine_template)
    return template


def index_of(pool: VirtualMachinePool, name: str) -> int:
    """The number in a machine's name; -1 for a name that the pool did not give."""
    suffix = name.removeprefix(f"{pool.metadata.name}-")
    return int(suffix) if suffix.isdigit() else -1


def member(pool: VirtualMachinePool, name: str) -> dict[str, Any]:
    """A new machine."""
    template = pool.spec.virtual_machine_template
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {**template.metadata.labels, REVISION_LABEL: revision_name(pool)},
        "ownerReferences": [owner_reference(VIRTUAL_MACHINE_POOLS, pool)],
    }
    if template.metadata.annotations:
        metadata["annotations"] = dict(template.metadata.annotations)
    return {"metadata": metadata, "spec": member_spec(pool, name)}


def member_spec(pool: VirtualMachinePool, name: str, old: VirtualMachine | None = None) -> dict[str, Any]:
    """The specification of the machine of that name; what tells guests apart is taken over from `old`."""
    spec: dict[str, Any] = template_of(pool).get("spec") or {}
    template = spec.setdefault("template", {})
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[REVISION_LABEL] = revision_name(pool)
    index = index_of(pool, name)
    if index >= 0:
        _number(pool, spec, index)
    if old is not None and old.spec.template.spec is not None:
        had = msgspec.to_builtins(old.spec.template.spec.domain.firmware) or {}
        kept = {field: had[field] for field in _IDENTITY if had.get(field)}
        domain = (template.get("spec") or {}).get("domain")
        if kept and domain is not None:
            domain["firmware"] = {**kept, **(domain.get("firmware") or {})}
    return spec


def _number(pool: VirtualMachinePool, spec: dict[str, Any], index: int) -> None:
    """Give the machine disks of its own, and configuration of its own where the pool asks for it."""
    renamed: dict[str, str] = {}
    for template in spec.get("dataVolumeTemplates") or ():
        name = template["metadata"].get("name", "")
        renamed[name] = template["metadata"]["name"] = f"{name}-{index}"
    naming = pool.spec.name_generation
    config_maps = naming is not None and naming.append_index_to_config_map_refs is True
    secrets = naming is not None and naming.append_index_to_secret_refs is True
    for volume in ((spec.get("template") or {}).get("spec") or {}).get("volumes") or ():
        for source, field in (("dataVolume", "name"), ("persistentVolumeClaim", "claimName")):
            there = volume.get(source)
            if there is not None and there.get(field) in renamed:
                there[field] = renamed[there[field]]
        for source, reference in _references(volume):
            if config_maps and source == "configMap":
                reference["name"] = f"{reference.get('name', '')}-{index}"
            if secrets and source == "secret":
                field = "secretName" if "secretName" in reference else "name"
                reference[field] = f"{reference.get(field, '')}-{index}"


def _references(volume: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The ConfigMaps and Secrets that a volume is filled from."""
    found: list[tuple[str, dict[str, Any] | None]] = [
        ("configMap", volume.get("configMap")),
        ("secret", volume.get("secret")),
    ]
    for source in ("cloudInitNoCloud", "cloudInitConfigDrive"):
        cloud_init = volume.get(source) or {}
        found += [("secret", cloud_init.get(field)) for field in ("secretRef", "networkDataSecretRef")]
    sysprep = volume.get("sysprep") or {}
    found += [(source, sysprep.get(source)) for source in ("configMap", "secret")]
    return [(source, reference) for source, reference in found if reference]
