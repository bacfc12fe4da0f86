"""Gathers what the decision about a VirtualMachine needs, from caches alone."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from kobune.api.cdi import DataVolume
from kobune.api.core import PersistentVolumeClaim
from kobune.api.kubevirt import (
    InstancetypeMatcher,
    InstancetypeStatusRef,
    PreferenceMatcher,
    VirtualMachine,
    VirtualMachineInstance,
)
from kobune.base.clock import Clock
from kobune.kube.client.objects import controller_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.virt.controllers.owners import BY_OWNER
from kobune.virt.controllers.virtualmachine.datavolumes import volume_names
from kobune.virt.controllers.virtualmachine.decide import Observed
from kobune.virt.controllers.virtualmachine.instance import START_PREFIX
from kobune.virt.controllers.virtualmachine.sizing import (
    Sizing,
    SizingPart,
    kind_of,
    new_part,
    recorded_part,
    recorded_revision,
)

__all__ = ["observer"]


def observer(
    machines: Informer[VirtualMachine],
    instances: Informer[VirtualMachineInstance],
    revisions: Informer[dict[str, Any]],
    sizes: Mapping[str, Informer[dict[str, Any]]],
    data_volumes: Informer[DataVolume],
    claims: Informer[PersistentVolumeClaim],
    clock: Clock,
) -> Callable[[Key], Awaitable[Observed | None]]:
    """The observe step over these caches; `sizes` has the instancetypes and preferences by kind."""

    def part(
        vm: VirtualMachine,
        matcher: InstancetypeMatcher | PreferenceMatcher | None,
        reference: InstancetypeStatusRef | None,
    ) -> SizingPart | str | None:
        """What the matcher means, the name of what is missing, or None without a matcher."""
        if matcher is None or not matcher.name:
            return None
        kind, namespace = kind_of(matcher), vm.metadata.namespace
        written = matcher.kind or kind
        recorded = recorded_revision(matcher, reference)
        if recorded and (kept := revisions.get(Key(namespace, recorded))) is not None:
            return recorded_part(written, matcher.name, kept)
        found = sizes.get(kind)
        obj = found.get(Key("" if "Cluster" in kind else namespace, matcher.name)) if found is not None else None
        return replace(new_part(vm, kind, obj), kind=written) if obj is not None else f"{kind} {matcher.name}"

    def sizing(vm: VirtualMachine) -> Sizing:
        instancetype = part(vm, vm.spec.instancetype, vm.status.instancetype_ref)
        preference = part(vm, vm.spec.preference, vm.status.preference_ref)
        if isinstance(instancetype, str):
            return Sizing(missing=instancetype, missing_reason="FailedFindInstancetype")
        if isinstance(preference, str):
            return Sizing(missing=preference, missing_reason="FailedFindPreference")
        return Sizing(instancetype, preference)

    def disks(vm: VirtualMachine) -> tuple[dict[str, DataVolume], dict[str, str]]:
        """The DataVolumes that the machine names, and the phases of the claims."""
        spec = vm.spec.template.spec
        names = {template.metadata.name for template in vm.spec.data_volume_templates}
        claimed = volume_names(vm)
        names |= {
            volume.data_volume.name for volume in (spec.volumes if spec is not None else ()) if volume.data_volume
        }
        volumes = {name: data_volumes.get(Key(vm.metadata.namespace, name)) for name in names}
        phases = {name: claims.get(Key(vm.metadata.namespace, name)) for name in claimed}
        return (
            {name: volume for name, volume in volumes.items() if volume is not None},
            {name: claim.status.phase or "Pending" for name, claim in phases.items() if claim is not None},
        )

    async def observe(key: Key) -> Observed | None:
        vm = machines.get(key)
        if vm is None:
            return None
        found = instances.get(key)
        owner = controller_of(found) if found is not None else None
        vmi = found if owner is not None and owner.uid == vm.metadata.uid else None
        revision = None
        if vmi is not None and vmi.status.virtual_machine_revision_name:
            revision = revisions.get(Key(key.namespace, vmi.status.virtual_machine_revision_name))
        foreign = found is not None and vmi is None
        starts = {
            item["metadata"]["name"]: item["metadata"]["uid"]
            for item in revisions.by_index(BY_OWNER, vm.metadata.uid)
            if item["metadata"]["name"].startswith(START_PREFIX)
        }
        return Observed(vm, vmi, foreign, revision, clock.now(), sizing(vm), *disks(vm), starts)

    return observe
