"""What the API is told about an instance on this node. Pure.

Owns these parts of status: phase (from Scheduled on) with its time, reason, interfaces, volumeStatus, guestOSInfo,
machine, memory, currentCPUTopology, fsFreezeStatus, and the conditions AccessCredentialsSynchronized, AgentConnected,
LiveMigratable, Paused and Synchronized. All else is passed through as it was. Field names, condition types and reasons
are KubeVirt's.
"""

from datetime import datetime
from typing import Any, Final

from kobune.api.kubevirt import Interface, Network
from kobune.base.clock import format_time
from kobune.base.quantity import format_quantity
from kobune.kube.client.objects import to_builtins
from kobune.virt.domain.devices.disk import target_names
from kobune.virt.domain.hotplug import held_volumes
from kobune.virt.domain.networks import is_secondary, pairs, pod_interface
from kobune.virt.handler.hotplug.status import plugged_entry
from kobune.virt.handler.instance.observed import LauncherPod, Observed
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, InterfaceState, PauseReason

__all__ = ["ended_status", "running_status", "unsynchronized_status", "volume_entries"]

Status = dict[str, Any]

_PAUSED: Final = {
    PauseReason.USER: ("PausedByUser", "VMI was paused by user"),
    PauseReason.IO_ERROR: ("PausedIOError", "VMI was paused, low-level IO error detected"),
    PauseReason.MIGRATION: ("PausedByMigrationMonitor", "VMI was paused for its migration"),
    PauseReason.SNAPSHOT: ("PausedBySnapshot", "VMI was paused for a snapshot"),
    PauseReason.CRASHED: ("PausedByCrash", "VMI was paused because the guest crashed"),
    PauseReason.OTHER: ("PausedByHypervisor", "VMI was paused by the hypervisor"),
}


def running_status(seen: Observed, pod: LauncherPod, state: DomainState) -> Status:
    """The status while the domain exists."""
    status = _enter(seen, "Running")
    status.pop("reason", None)
    interfaces = _interfaces(seen, pod, state)
    _put(status, "interfaces", interfaces)
    _put(status, "machine", {"type": state.machine} if state.machine else None)
    _put(status, "memory", _memory(seen, state))
    topology = {"cores": state.cores, "sockets": state.sockets, "threads": state.threads}
    _put(status, "currentCPUTopology", topology if all(topology.values()) else status.get("currentCPUTopology"))
    # Present and empty while nothing is known, as KubeVirt shows it.
    status["guestOSInfo"] = _guest_os(state)
    _put(status, "volumeStatus", volume_entries(seen, state))
    _put(status, "fsFreezeStatus", state.fs_freeze.value if state.fs_freeze is not None else None)
    conditions = _Conditions(status, seen.now)
    conditions.remove("Synchronized")
    if seen.vmi.status.phase != "Running":
        # virt-controller's condition from here on; this spares it a write, and everybody a moment of "runs, not ready".
        conditions.put("Ready", pod.ready.status, pod.ready.reason, pod.ready.message)
    if state.agent_connected:
        conditions.put("AgentConnected", "True")
    else:
        conditions.remove("AgentConnected")
    if state.credentials_synced is None:
        conditions.remove("AccessCredentialsSynchronized")
    else:
        synced = "True" if state.credentials_synced else "False"
        conditions.put("AccessCredentialsSynchronized", synced, "", state.credentials_message)
    if state.status is DomainStatus.PAUSED:
        conditions.put("Paused", "True", *_PAUSED[state.pause_reason or PauseReason.OTHER])
    else:
        conditions.remove("Paused")
    conditions.put("LiveMigratable", "False", "NotMigratable", "live migration is not available in this version")
    return status


def unsynchronized_status(seen: Observed, message: str) -> Status:
    """The status while the guest can't be started."""
    status: Status = to_builtins(seen.vmi.status)
    conditions = _Conditions(status, seen.now)
    conditions.put("Synchronized", "False", "Synchronizing with the Domain failed.", message)
    return status


def ended_status(seen: Observed, *, crashed: bool, message: str) -> Status:
    """The last status: Succeeded or Failed."""
    status = _enter(seen, "Failed" if crashed else "Succeeded")
    if crashed and message:
        status["reason"] = message[:1024]
    conditions = _Conditions(status, seen.now)
    conditions.remove("AgentConnected")
    conditions.remove("Paused")
    conditions.put("Ready", "False", "GuestNotRunning", "Guest VM is not reported as running")
    return status


def _enter(seen: Observed, phase: str) -> Status:
    status: Status = to_builtins(seen.vmi.status)
    if status.get("phase") != phase:
        status["phase"] = phase
        transition = {"phase": phase, "phaseTransitionTimestamp": format_time(seen.now)}
        status["phaseTransitionTimestamps"] = [*status.get("phaseTransitionTimestamps", ()), transition]
    return status


def _put(status: Status, name: str, value: object) -> None:
    if value:
        status[name] = value
    else:
        status.pop(name, None)


def _interfaces(seen: Observed, pod: LauncherPod, state: DomainState) -> list[Status]:
    """Those of the specification in its order, then those that only the guest agent knows."""
    known = {interface.name: interface for interface in state.interfaces if interface.name}
    rendered = [
        _interface(wanted, network, known.get(wanted.name, InterfaceState()), pod)
        for wanted, network in pairs(seen.vmi.spec)
    ]
    for extra in state.interfaces:
        if extra.name or not extra.from_agent:
            continue
        only: Status = {"infoSource": "guest-agent"}
        _put(only, "interfaceName", extra.guest_name)
        _put(only, "mac", extra.mac)
        _addresses(only, tuple(extra.ip_addresses))
        rendered.append(only)
    return rendered


def volume_entries(seen: Observed, state: DomainState) -> list[Status]:
    """One entry per volume that is a disk, by name; what others have put into an entry stays in it."""
    known: dict[str, Status] = {found.name: to_builtins(found) for found in seen.vmi.status.volume_status}
    disks = {disk.name: disk for disk in state.disks}
    plugged = held_volumes(seen.vmi.spec)
    targets = target_names(seen.vmi.spec.domain.devices.disks)
    for volume in seen.vmi.spec.volumes:
        if volume.name in targets and volume.name not in plugged:
            disk = disks.get(volume.name)
            target = disk.target if disk is not None and disk.target else targets[volume.name]
            known[volume.name] = {**known.get(volume.name, {}), "name": volume.name, "target": target}
    if seen.volumes is not None:
        setback = seen.launcher.setback if seen.launcher is not None else None
        trouble = setback.message if setback is not None else ""
        for name, entry in known.items():
            if name in plugged or entry.get("hotplugVolume") is not None:
                known[name] = plugged_entry(
                    entry,
                    seen.volumes,
                    disks.get(name),
                    wanted=name in plugged,
                    trouble=trouble,
                    dump=seen.launcher.dumps.get(name) if seen.launcher is not None else None,
                )
    return [known[name] for name in sorted(known)]


def _interface(wanted: Interface, network: Network, told: InterfaceState, pod: LauncherPod) -> Status:
    name = pod_interface(network)
    attached = next((one for one in pod.attached if one.interface == name), None)
    known = (
        ("domain", told.from_domain),
        ("guest-agent", told.from_agent),
        ("multus-status", attached is not None and is_secondary(network)),
    )
    sources = [word for word, there in known if there]
    rendered: Status = {"name": wanted.name, "podInterfaceName": name}
    _put(rendered, "infoSource", ", ".join(sources))
    _put(rendered, "mac", told.mac)
    _put(rendered, "interfaceName", told.guest_name)
    _put(rendered, "queueCount", told.queues)
    rendered["linkState"] = "up" if told.link_up else "down"
    # Behind masquerade the guest's own address is nobody else's business: it is reached by the pod's.
    told_addresses = () if wanted.masquerade is not None else tuple(told.ip_addresses)
    beyond_link = tuple(address for address in told_addresses if not address.startswith("fe80:"))
    on_link = tuple(address for address in told_addresses if address.startswith("fe80:"))
    if is_secondary(network):
        shown = beyond_link or (attached.ips if attached is not None else ())
    else:
        # The pod's address leads, whatever the guest says of itself: others dial it.
        shown = tuple(dict.fromkeys(pod.ips[:1] + beyond_link)) if beyond_link else pod.ips
    _addresses(rendered, shown + on_link)
    return rendered


def _addresses(rendered: Status, addresses: tuple[str, ...]) -> None:
    if addresses:
        rendered["ipAddress"] = addresses[0]
        rendered["ipAddresses"] = list(addresses)


def _memory(seen: Observed, state: DomainState) -> Status | None:
    memory = seen.vmi.spec.domain.memory
    requested = memory.guest if memory is not None else None
    now = format_quantity(state.memory_bytes, binary=True) if state.memory_bytes else None
    before = seen.vmi.status.memory
    rendered: Status = {}
    _put(rendered, "guestRequested", requested or now)
    _put(rendered, "guestAtBoot", (before.guest_at_boot if before is not None else None) or requested or now)
    _put(rendered, "guestCurrent", now or requested)
    _put(rendered, "memoryOverhead", before.memory_overhead if before is not None else None)
    return rendered or None


def _guest_os(state: DomainState) -> Status:
    """The guest's operating system as the agent told it."""
    if state.guest_os is None:
        return {}
    return {name: value for name, value in to_builtins(state.guest_os).items() if value}


class _Conditions:
    """Edits `status.conditions` in place; others' conditions keep their place and content."""

    def __init__(self, status: Status, now: datetime) -> None:
        self._status = status
        self._now = format_time(now)

    def put(self, kind: str, value: str, reason: str = "", message: str = "") -> None:
        conditions: list[Status] = list(self._status.get("conditions", ()))
        index = next((number for number, found in enumerate(conditions) if found["type"] == kind), None)
        wanted: Status = {"type": kind, "status": value}
        _put(wanted, "reason", reason)
        _put(wanted, "message", message)
        if index is None:
            conditions.append(wanted | {"lastProbeTime": self._now, "lastTransitionTime": self._now})
        else:
            found = conditions[index]
            times: Status = {name: found[name] for name in ("lastProbeTime", "lastTransitionTime") if name in found}
            if {**found, **times} == {**wanted, **times}:
                return
            if found["status"] != value:
                # Others' conditions have no probe time.
                times = dict.fromkeys(times, self._now) or {"lastTransitionTime": self._now}
            conditions[index] = wanted | times
        self._status["conditions"] = conditions

    def remove(self, kind: str) -> None:
        if "conditions" not in self._status:
            return
        conditions = [found for found in self._status["conditions"] if found["type"] != kind]
        _put(self._status, "conditions", conditions)
