"""VirtualMachineInstancePresets: domain settings for instances by label. Deprecated, and still served. Pure.

Source: KubeVirt's published behaviour. Only some settings count: requests, cpu, firmware, clock, features, the
watchdog and ioThreadsPolicy; each is taken over where the instance leaves it open.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import VirtualMachineInstancePreset
from kobune.kube.client.selectors import parse_labels, render_selector

__all__ = ["PresetConflict", "apply_presets"]

Document = dict[str, Any]

_EXCLUDE: Final = "virtualmachineinstancepresets.admission.kubevirt.io/exclude"
_FIELDS: Final = (("cpu",), ("firmware",), ("features",), ("devices", "watchdog"), ("ioThreadsPolicy",))


class PresetConflict(ValueError):
    """Two presets that select the same instance want different things."""


def apply_presets(obj: Document, presets: Sequence[VirtualMachineInstancePreset]) -> None:
    """Fill in an instance (decoded JSON) what the presets that select it say. Raises PresetConflict."""
    metadata = obj.setdefault("metadata", {})
    if (metadata.get("annotations") or {}).get(_EXCLUDE) == "true":
        return
    labels = metadata.get("labels") or {}
    chosen: list[tuple[str, Document]] = []
    for preset in sorted(presets, key=lambda item: item.metadata.name):
        spec = preset.spec
        if spec is not None and spec.domain is not None and parse_labels(render_selector(spec.selector))(labels):
            chosen.append((preset.metadata.name, msgspec.to_builtins(spec.domain)))
    for (later, domain), (earlier, other) in ((pair[1], pair[0]) for pair in combinations(chosen, 2)):
        if conflicts := list(_conflicts(domain, other)):
            raise PresetConflict(
                "VirtualMachinePresets cannot be applied due to conflicts: "
                f"presets '{later}' and '{earlier}' conflict: {', '.join(conflicts)}"
            )
    for name, domain in chosen:
        if _merge(domain, obj["spec"].setdefault("domain", {})):
            annotations = metadata.get("annotations") or {}
            annotations[f"virtualmachinepreset.kubevirt.io/{name}"] = "kubevirt.io/v1"
            metadata["annotations"] = annotations


def _conflicts(preset: Document, other: Document) -> Iterator[str]:
    requests, others = _at(preset, ("resources", "requests")) or {}, _at(other, ("resources", "requests")) or {}
    for key in requests:
        if key in others and requests[key] != others[key]:
            yield f"spec.resources.requests[{key}]: {requests[key]} != {others[key]}"
    for path in _FIELDS:
        value, there = _at(preset, path), _at(other, path)
        if value is not None and there is not None and value != there:
            yield f"spec.{'.'.join(path)}: {value} != {there}"
    for what in ("timer", "clockoffset"):
        value, there = _clock(preset, what), _clock(other, what)
        if value and there and value != there:
            yield f"spec.clock.{what}: {value} != {there}"


def _merge(preset: Document, domain: Document) -> bool:
    """Whether anything of the preset is in the domain now."""
    applied = False
    for path in (("resources", "requests"), *_FIELDS):
        value = _at(preset, path)
        if not value:
            continue
        if not _at(domain, path):
            _put(domain, path, value)
        applied = applied or _at(domain, path) == value
    clock = preset.get("clock")
    if clock is not None:
        mine = domain.setdefault("clock", {key: value for key, value in clock.items() if key != "timer"})
        if clock.get("timer") is not None:
            applied = mine.setdefault("timer", clock["timer"]) == clock["timer"] or applied
        applied = applied or mine == clock
    return applied


def _clock(domain: Document, what: str) -> Document | None:
    clock: Document = domain.get("clock") or {}
    if what == "timer":
        return clock.get("timer")
    return {key: value for key, value in clock.items() if key != "timer"}


def _at(document: Document, path: tuple[str, ...]) -> Any:
    found: Any = document
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _put(document: Document, path: tuple[str, ...], value: Any) -> None:
    for part in path[:-1]:
        if not isinstance(document.get(part), dict):
            document[part] = {}
        document = document[part]
    document[path[-1]] = value
