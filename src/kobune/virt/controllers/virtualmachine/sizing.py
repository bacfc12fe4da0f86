"""The instancetype and the preference of a machine: found, recorded in a revision, and used from there on.

Owns: which object a matcher means, and that a machine keeps the one it was made with (a ControllerRevision named in its
status) when the object changes or goes. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.kubevirt import InstancetypeMatcher, InstancetypeStatusRef, PreferenceMatcher, VirtualMachine
from kobune.kube.client.kubevirt import VIRTUAL_MACHINES
from kobune.kube.client.objects import owner_reference

__all__ = ["Sizing", "SizingPart", "canonical_kind", "kind_of", "new_part", "recorded_part", "recorded_revision"]

_VERSION: Final = "v1beta1"
_GROUP: Final = "instancetype.kubevirt.io"
_KINDS: Final = {
    kind.lower(): kind
    for kind in (
        "VirtualMachineInstancetype",
        "VirtualMachineClusterInstancetype",
        "VirtualMachinePreference",
        "VirtualMachineClusterPreference",
    )
}


@dataclass(frozen=True, slots=True)
class SizingPart:
    """One of the two objects: what it says, and the revision that keeps it."""

    kind: str
    """As the matcher spells it."""
    name: str
    spec: dict[str, Any]
    revision_name: str
    revision: dict[str, Any] | None
    """The ControllerRevision to be made; None when it is there already."""

    def reference(self) -> dict[str, Any]:
        """The entry of the machine's status."""
        return {
            "kind": self.kind,
            "name": self.name,
            "controllerRevisionRef": {"name": self.revision_name},
        }


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a machine's matchers lead to; `missing` names what was not found."""

    instancetype: SizingPart | None = None
    preference: SizingPart | None = None
    missing: str = ""
    missing_reason: str = ""

    def instancetype_spec(self) -> VirtualMachineInstancetypeSpec | None:
        """The instancetype's specification."""
        part = self.instancetype
        return msgspec.convert(part.spec, VirtualMachineInstancetypeSpec) if part is not None else None

    def preference_spec(self) -> VirtualMachinePreferenceSpec | None:
        """The preference's specification."""
        part = self.preference
        return msgspec.convert(part.spec, VirtualMachinePreferenceSpec) if part is not None else None


def kind_of(matcher: InstancetypeMatcher | PreferenceMatcher) -> str:
    """The kind that a matcher means; cluster-wide objects when it does not say."""
    default = "Instancetype" if isinstance(matcher, InstancetypeMatcher) else "Preference"
    given = matcher.kind or f"VirtualMachineCluster{default}"
    return canonical_kind(given)


def canonical_kind(given: str) -> str:
    """The kind as the API spells it, for the spellings that a matcher may use (singular, plural, any case)."""
    return _KINDS.get(given.lower().removesuffix("s"), given)


def recorded_revision(matcher: InstancetypeMatcher | PreferenceMatcher, reference: InstancetypeStatusRef | None) -> str:
    """The name of the revision that the machine uses already, empty when it has none."""
    if matcher.revision_name:
        return matcher.revision_name
    if reference is None or reference.name != matcher.name or canonical_kind(reference.kind or "") != kind_of(matcher):
        return ""
    found = reference.controller_revision_ref
    return (found.name or "") if found is not None else ""


def recorded_part(kind: str, name: str, revision: Mapping[str, Any]) -> SizingPart:
    """From a ControllerRevision."""
    spec = (revision.get("data") or {}).get("spec") or {}
    return SizingPart(kind, name, spec, revision["metadata"]["name"], None)


def new_part(vm: VirtualMachine, kind: str, obj: Mapping[str, Any]) -> SizingPart:
    """From the object itself, with the revision that will keep it."""
    metadata = obj["metadata"]
    uid, generation = metadata["uid"], metadata.get("generation", 1)
    revision_name = f"{vm.metadata.name}-{metadata['name']}-{_VERSION}-{uid}-{generation}"
    revision = {
        "metadata": {
            "name": revision_name,
            "namespace": vm.metadata.namespace,
            "labels": {
                f"{_GROUP}/object-generation": str(generation),
                f"{_GROUP}/object-kind": kind,
                f"{_GROUP}/object-name": metadata["name"],
                f"{_GROUP}/object-uid": uid,
                f"{_GROUP}/object-version": _VERSION,
            },
            "ownerReferences": [owner_reference(VIRTUAL_MACHINES, vm)],
        },
        "data": {
            "apiVersion": f"{_GROUP}/{_VERSION}",
            "kind": kind,
            "metadata": {"name": metadata["name"], "uid": uid, "generation": generation},
            "spec": obj.get("spec") or {},
        },
        "revision": 0,
    }
    return SizingPart(kind, metadata["name"], dict(obj.get("spec") or {}), revision_name, revision)
