"""What a VMI may ask for that is not rendered yet, so that admission can say so. Nothing is silently ignored.

Owns: the list. An entry leaves it together with the code that renders the field. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kobune.api.kubevirt.devices import GPU, Devices, Disk, HostDevice
from kobune.api.kubevirt.domain import DomainSpec
from kobune.api.kubevirt.instance import VirtualMachineInstance, VirtualMachineInstanceSpec
from kobune.api.kubevirt.network import Interface
from kobune.api.kubevirt.volumes import Volume

__all__ = ["Unsupported", "unsupported", "unsupported_spec"]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """One thing that will not be as asked.

    `field` is its path from `spec` on. When `harmless`, the guest runs without it (a warning is enough); otherwise the
    VMI must be refused.
    """

    field: str
    reason: str
    harmless: bool = False


def unsupported(vmi: VirtualMachineInstance) -> list[Unsupported]:
    """Everything in the VMI that would not come out as asked, in the order of the specification."""
    return unsupported_spec(vmi.spec)


def unsupported_spec(spec: VirtualMachineInstanceSpec, path: str = "spec") -> list[Unsupported]:
    """The same for a specification; `path` is where it is (`spec.template.spec` in a VirtualMachine)."""
    return [
        *_domain(spec.domain, f"{path}.domain"),
        *_devices(spec.domain.devices, f"{path}.domain.devices"),
        *_volumes(spec.volumes, f"{path}.volumes"),
        *_tags(spec, f"{path}.domain.devices"),
        *_rest(spec, path),
    ]


def _domain(domain: DomainSpec, path: str) -> Iterator[Unsupported]:
    if domain.launch_security is not None:
        yield Unsupported(f"{path}.launchSecurity", "encrypted guest memory is not supported")
    if domain.io_threads is not None:
        yield Unsupported(f"{path}.ioThreads", "supplemental pools are not supported yet", harmless=True)


def _devices(devices: Devices, path: str) -> Iterator[Unsupported]:
    for index, disk in enumerate(devices.disks):
        yield from _disk(disk, f"{path}.disks[{index}]")
    for index, interface in enumerate(devices.interfaces):
        yield from _interface(interface, f"{path}.interfaces[{index}]")
    yield from _host_devices("gpus", devices.gpus, path)
    yield from _host_devices("hostDevices", devices.host_devices, path)
    for index, panic in enumerate(devices.panic_devices):
        if panic.model == "pvpanic":
            reason = "the ISA device is used in place of the PCI one"
            yield Unsupported(f"{path}.panicDevices[{index}].model", reason, harmless=True)
    if devices.watchdog is not None and devices.watchdog.diag288 is not None:
        yield Unsupported(f"{path}.watchdog.diag288", "this watchdog exists on s390x only")


def _host_devices(kind: str, devices: Sequence[GPU | HostDevice], path: str) -> Iterator[Unsupported]:
    for index, device in enumerate(devices):
        here = f"{path}.{kind}[{index}]"
        for name, wanted in (("claimName", device.claim_name), ("requestName", device.request_name)):
            if wanted:
                yield Unsupported(f"{here}.{name}", "dynamic resources are not supported yet; use deviceName")
        if not device.device_name and not device.claim_name and not device.request_name:
            yield Unsupported(f"{here}.deviceName", "the resource under which nodes offer the device is needed")


def _disk(disk: Disk, path: str) -> Iterator[Unsupported]:
    if disk.lun is not None and disk.lun.reservation:
        yield Unsupported(f"{path}.lun.reservation", "persistent reservations are not supported yet")
    if disk.io == "native" and disk.cache not in (None, "", "none"):
        yield Unsupported(f"{path}.io", f"native I/O goes past the host's page cache: cache {disk.cache} must be none")
    if disk.changed_block_tracking:
        yield Unsupported(f"{path}.changedBlockTracking", "changed blocks are not tracked yet", harmless=True)


def _interface(interface: Interface, path: str) -> Iterator[Unsupported]:
    for name, wanted in (
        ("macvtap", interface.macvtap),
        ("passt", interface.passt),
        ("passtBinding", interface.passt_binding),
        ("slirp", interface.slirp),
    ):
        if wanted is not None:
            yield Unsupported(f"{path}.{name}", "this way of binding an interface is not supported; use masquerade")


def _volumes(volumes: list[Volume], path: str) -> Iterator[Unsupported]:
    for index, volume in enumerate(volumes):
        for name, wanted in (("containerPath", volume.container_path),):
            if wanted is not None:
                yield Unsupported(f"{path}[{index}].{name}", "this kind of volume is not supported yet")


def _tags(spec: VirtualMachineInstanceSpec, path: str) -> Iterator[Unsupported]:
    """A guest learns tags from its config drive."""
    if any(volume.cloud_init_config_drive is not None for volume in spec.volumes):
        return
    devices = spec.domain.devices
    for kind, tags in (
        ("disks", [disk.tag for disk in devices.disks]),
        ("interfaces", [interface.tag for interface in devices.interfaces]),
        ("gpus", [gpu.tag for gpu in devices.gpus]),
        ("hostDevices", [device.tag for device in devices.host_devices]),
    ):
        for index, tag in enumerate(tags):
            if tag:
                reason = "tags are told by a cloudInitConfigDrive volume, and there is none"
                yield Unsupported(f"{path}.{kind}[{index}].tag", reason, harmless=True)


def _rest(spec: VirtualMachineInstanceSpec, path: str) -> Iterator[Unsupported]:
    if spec.resource_claims:
        yield Unsupported(f"{path}.resourceClaims", "dynamic resources are not supported yet")
