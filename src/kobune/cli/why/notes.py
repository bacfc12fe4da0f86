"""What is worth knowing of a machine beside its state: emulation, a silent agent, volumes under way. Pure."""

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.cli.why.seen import PATIENCE, Seen, phase_since

__all__ = ["notes", "plugging_notes"]


def notes(seen: Seen) -> tuple[str, ...]:
    """One sentence each, for a machine that is not about to end."""
    told: list[str] = []
    vmi, vm = seen.vmi, seen.vm
    if vmi is not None and vmi.status.phase == "Running" and vmi.metadata.deletion_timestamp is None:
        told += _running(seen, vmi)
    for condition in vm.status.conditions if vm is not None and vm.metadata.deletion_timestamp is None else ():
        if condition.type == "RestartRequired" and condition.status == "True":
            what = condition.message or "its specification was changed"
            told.append(f"Changes wait for a restart ({what}): kobune restart {seen.name}")
    return tuple(told)


def _running(seen: Seen, vmi: VirtualMachineInstance) -> list[str]:
    told = []
    if any(item.reason == "SoftwareEmulation" for item in seen.events):
        told.append(
            "It runs in software emulation (TCG), which is slow: the node has no working KVM. "
            "Enable virtualization in the firmware, or nested virtualization of the machine that the node runs in."
        )
    connected = next((item for item in vmi.status.conditions if item.type == "AgentConnected"), None)
    since = phase_since(vmi)
    has_booted = since is None or seen.now - since > PATIENCE
    if has_booted and (connected is None or connected.status != "True"):
        told.append(
            "No guest agent answers: guestosinfo, users, file systems and freeze are not available. "
            "Install and start qemu-guest-agent in the guest."
        )
    return told + plugging_notes(vmi)


def plugging_notes(vmi: VirtualMachineInstance) -> list[str]:
    """Volumes that are on their way into a running guest, or out of it, and how far they are."""
    notes = []
    wanted = {volume.name for volume in vmi.spec.volumes}
    for found in vmi.status.volume_status:
        if found.hotplug_volume is None or (found.phase == "Ready" and found.name in wanted):
            continue
        way = "being plugged in" if found.name in wanted else "being unplugged"
        why = found.message or found.reason or "its pod is being made"
        notes.append(f"Volume {found.name} is {way} ({found.phase or 'Pending'}): {why}")
    return notes
