"""Which instancetype or preference a volume asks for: by labels of its claim, DataVolume or DataSource.

Owns: the order in which they are asked, and which failures `inferFromVolumeFailurePolicy: Ignore` forgives. Source:
KubeVirt's published rules for inferFromVolume.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["CannotInfer", "Find", "infer"]

Document = dict[str, Any]

Find = Callable[[str, str, str], Awaitable[Document | None]]
"""An object by plural (persistentvolumeclaims, datavolumes, datasources), namespace and name, or None."""

_LABEL: Final = "instancetype.kubevirt.io/default-{}"
_WORDS: Final = ("instancetype", "preference")


class CannotInfer(ValueError):
    """The volume does not tell; the message says why."""


class _Forgivable(CannotInfer):
    """A failure that a user may choose to ignore: the volume is there but says nothing."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The label that is looked for, `kind` beside it, and the namespace of the machine."""

    label: str
    namespace: str


async def infer(spec: Document, namespace: str, find: Find) -> None:
    """Replace matchers of `spec` (a VirtualMachine's) that name a volume by what the volume asks for, in place.

    Raises CannotInfer.
    """
    for word in _WORDS:
        matcher = spec.get(word)
        if not matcher or not matcher.get("inferFromVolume"):
            continue
        ignores = matcher.get("inferFromVolumeFailurePolicy") == "Ignore"
        try:
            name, kind = await _from_volume(
                spec, matcher["inferFromVolume"], _Wanted(_LABEL.format(word), namespace), find
            )
        except _Forgivable:
            if not ignores:
                raise
            del spec[word]
            continue
        if ignores and word == "instancetype":
            # Whoever ignores failures gives memory for that case; now the instancetype decides about it.
            spec["template"]["spec"].get("domain", {}).pop("memory", None)
        spec[word] = {"name": name} | ({"kind": kind} if kind else {})


async def _from_volume(spec: Document, volume_name: str, wanted: _Wanted, find: Find) -> tuple[str, str]:
    volumes = spec["template"]["spec"].get("volumes") or ()
    volume = next((item for item in volumes if item.get("name") == volume_name), None)
    if volume is None:
        raise CannotInfer(f"unable to find volume {volume_name} to infer defaults")
    if (claim := volume.get("persistentVolumeClaim")) is not None:
        return await _from_claim(claim.get("claimName", ""), wanted.namespace, wanted, find)
    if (data_volume := volume.get("dataVolume")) is not None:
        return await _from_data_volume(spec, data_volume.get("name", ""), wanted, find)
    raise _Forgivable(f"unable to infer defaults from volume {volume_name} as type is not supported")


async def _from_claim(name: str, namespace: str, wanted: _Wanted, find: Find) -> tuple[str, str]:
    claim = await find("persistentvolumeclaims", namespace or wanted.namespace, name)
    if claim is None:
        raise CannotInfer(f'persistentvolumeclaims "{name}" not found')
    if (found := _labels(claim, wanted)) is None:
        raise _Forgivable(f"unable to find required {wanted.label} label on the volume")
    return found


async def _from_data_volume(spec: Document, name: str, wanted: _Wanted, find: Find) -> tuple[str, str]:
    for template in spec.get("dataVolumeTemplates") or ():
        if (template.get("metadata") or {}).get("name") == name:
            return await _from_data_volume_spec(template.get("spec") or {}, wanted, find)
    data_volume = await find("datavolumes", wanted.namespace, name)
    if data_volume is None:
        # A DataVolume may be gone when its claim is filled; the claim has its name.
        return await _from_claim(name, wanted.namespace, wanted, find)
    if (found := _labels(data_volume, wanted)) is not None:
        return found
    return await _from_data_volume_spec(data_volume.get("spec") or {}, wanted, find)


async def _from_data_volume_spec(spec: Document, wanted: _Wanted, find: Find) -> tuple[str, str]:
    claim = (spec.get("source") or {}).get("pvc")
    if claim is not None:
        return await _from_claim(claim.get("name", ""), claim.get("namespace", ""), wanted, find)
    reference = spec.get("sourceRef")
    if reference is None:
        raise _Forgivable("unable to infer defaults from DataVolumeSpec as DataVolumeSource is not supported")
    kind = reference.get("kind", "")
    if kind != "DataSource":
        raise _Forgivable(f"unable to infer defaults from DataVolumeSourceRef as Kind {kind} is not supported")
    return await _from_data_source(
        reference.get("name", ""), reference.get("namespace") or wanted.namespace, wanted, find
    )


async def _from_data_source(name: str, namespace: str, wanted: _Wanted, find: Find) -> tuple[str, str]:
    source = await find("datasources", namespace, name)
    if source is None:
        raise CannotInfer(f'datasources.cdi.kubevirt.io "{name}" not found')
    if (found := _labels(source, wanted)) is not None:
        return found
    claim = ((source.get("spec") or {}).get("source") or {}).get("pvc")
    if claim is None:
        raise _Forgivable("unable to infer defaults from DataSource that doesn't provide DataVolumeSourcePVC")
    return await _from_claim(claim.get("name", ""), claim.get("namespace", ""), wanted, find)


def _labels(obj: Document, wanted: _Wanted) -> tuple[str, str] | None:
    labels = (obj.get("metadata") or {}).get("labels") or {}
    name = labels.get(wanted.label)
    return (name, labels.get(f"{wanted.label}-kind", "")) if name is not None else None
