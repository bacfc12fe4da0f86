"""Collects from the API what `explain` needs: the machine, its instance, pods, volumes and their events.

Reads only; what may not be read or is not served is left out, with a line about it.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from kobune.api.core import CoreEvent, PersistentVolumeClaim, Pod
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance
from kobune.cli.why.seen import Seen
from kobune.kube.client.core import EVENTS, PERSISTENT_VOLUME_CLAIMS, PODS, STORAGE_CLASSES
from kobune.kube.client.errors import ApiError, Forbidden, NotFound
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.objects import metadata_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource

__all__ = ["gather"]

T = TypeVar("T")

DATA_VOLUMES: Resource[dict[str, Any]] = Resource("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume", True, dict)


async def gather(client: Client, plural: str, name: str, namespace: str) -> Seen:
    """Everything about `name`. Raises NotFound when there is neither machine nor instance (`plural` says which)."""
    vm = await _maybe(client, VIRTUAL_MACHINES, name, namespace)
    vmi = await _maybe(client, VIRTUAL_MACHINE_INSTANCES, name, namespace)
    wanted = vm if plural == "virtualmachines" else vmi
    if wanted is None:
        other = " (there is a VM of that name, which does not run: `kobune why vm " + name + "`)" if vm else ""
        kind = "VirtualMachine" if plural == "virtualmachines" else "VirtualMachineInstance"
        raise NotFound(404, "NotFound", f'{kind} "{name}" not found in namespace "{namespace}"{other}')
    if plural != "virtualmachines" and vm is not None and vmi is not None and not _owns(vm, vmi):
        vm = None
    unreadable: list[str] = []
    try:
        pods = await _pods(client, vmi, namespace)
    except Forbidden:
        pods = ()
        unreadable.append(PODS.plural)
    claim_names, volume_names = _storage(vm, vmi)
    claims = await _each(client, PERSISTENT_VOLUME_CLAIMS, claim_names, namespace, unreadable)
    volumes = await _each(client, DATA_VOLUMES, volume_names, namespace, unreadable)
    data_volumes = [item for item in volumes.values() if item is not None]
    found_claims = tuple(item for item in claims.values() if item is not None)
    owners: list[object] = [item for item in (vm, vmi, *pods, *found_claims, *data_volumes) if item is not None]
    return Seen(
        name=name,
        namespace=namespace,
        now=datetime.now(UTC),
        vm=vm,
        vmi=vmi,
        pods=pods,
        claims=found_claims,
        missing_claims=tuple(key for key, item in claims.items() if item is None),
        missing_classes=await _missing_classes(client, found_claims),
        data_volumes=tuple(data_volumes),
        events=await _events(client, namespace, owners, unreadable),
        unreadable=tuple(unreadable),
    )


async def _maybe(client: Client, resource: Resource[T], name: str, namespace: str) -> T | None:
    try:
        return await client.get(resource, name, namespace)
    except NotFound:
        return None


async def _missing_classes(client: Client, claims: Iterable[PersistentVolumeClaim]) -> tuple[str, ...]:
    """The classes that unbound claims name and that are not there; none where they may not be read."""
    names = {claim.spec.storage_class_name or "" for claim in claims if claim.status.phase != "Bound"} - {""}
    missing: list[str] = []
    for name in sorted(names):
        try:
            await client.get(STORAGE_CLASSES, name, "")
        except NotFound:
            missing.append(name)
        except ApiError:
            continue
    return tuple(missing)


async def _each(
    client: Client, resource: Resource[T], names: Iterable[str], namespace: str, unreadable: list[str]
) -> dict[str, T | None]:
    """By name, None for what does not exist; nothing, but for a word in `unreadable`, where it may not be read."""
    found: dict[str, T | None] = {}
    try:
        for name in names:
            item = await _maybe(client, resource, name, namespace)
            found[name] = item
    except Forbidden:
        unreadable.append(resource.plural)
        return {}
    return found


def _owns(vm: VirtualMachine, vmi: VirtualMachineInstance) -> bool:
    return any(owner.uid == vm.metadata.uid for owner in vmi.metadata.owner_references)


async def _pods(client: Client, vmi: VirtualMachineInstance | None, namespace: str) -> tuple[Pod, ...]:
    """The launcher pods of the instance: those that run first, then the newest."""
    if vmi is None:
        return ()
    selector = f"kubevirt.io/created-by={vmi.metadata.uid}"
    found = (await client.list(PODS, namespace, label_selector=selector)).items
    newest_first = sorted(found, key=lambda pod: pod.metadata.creation_timestamp or "", reverse=True)
    return tuple(sorted(newest_first, key=lambda pod: pod.status.phase in ("Succeeded", "Failed")))


def _storage(vm: VirtualMachine | None, vmi: VirtualMachineInstance | None) -> tuple[list[str], list[str]]:
    """Names of the claims and of the DataVolumes that volumes name."""
    spec = vmi.spec if vmi is not None else vm.spec.template.spec if vm is not None else None
    volumes = spec.volumes if spec is not None else []
    claims = [item.persistent_volume_claim.claim_name for item in volumes if item.persistent_volume_claim is not None]
    data_volumes = [item.data_volume.name for item in volumes if item.data_volume is not None]
    # A DataVolume fills a claim of its own name, and without one such a claim may have been there before.
    return list(dict.fromkeys([*claims, *data_volumes])), list(dict.fromkeys(data_volumes))


async def _events(
    client: Client, namespace: str, owners: Iterable[object], unreadable: list[str]
) -> tuple[CoreEvent, ...]:
    """Oldest first."""
    try:
        answers = await asyncio.gather(*(_events_of(client, namespace, owner) for owner in owners))
    except Forbidden:
        unreadable.append(EVENTS.plural)
        return ()
    found = [event for events in answers for event in events]
    return tuple(sorted(found, key=lambda event: _moment(event)))


async def _events_of(client: Client, namespace: str, owner: object) -> list[CoreEvent]:
    uid = metadata_of(owner).uid
    try:
        return list((await client.list(EVENTS, namespace, field_selector=f"involvedObject.uid={uid}")).items)
    except Forbidden:
        raise
    except ApiError:
        # A server that does not find them is no reason to say nothing.
        return []


def _moment(event: CoreEvent) -> str:
    last = event.series.last_observed_time if event.series is not None else None
    return last or event.last_timestamp or event.event_time or event.metadata.creation_timestamp or ""
