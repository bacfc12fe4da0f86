"""Makes every volume that a disk of the VMI refers to a file or block device that QEMU can open.

Owns: the layout of the ephemeral disks directory (docs/flows/launcher.md). Whatever is not the cluster's own is
treated as hostile: container disks are inspected, never trusted, never written to. All steps are idempotent, so that
a launcher process that was killed half-way just does them again.
"""

import asyncio
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kobune.api.kubevirt.devices import Disk
from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.api.kubevirt.volumes import ContainerDiskSource, HostDisk, Volume
from kobune.base.quantity import to_bytes
from kobune.host.disk.image import InvalidImage, create_empty, create_overlay, inspect_image
from kobune.host.disk.iso import write_iso
from kobune.host.run import Runner
from kobune.virt.domain.document import DiskSource, InvalidSpec, KernelSource
from kobune.virt.domain.facts import Facts
from kobune.virt.domain.hotplug import hotplug_volumes
from kobune.virt.launcher.blocksizes import with_block_sizes
from kobune.virt.launcher.claims import claim_disk, host_disk
from kobune.virt.launcher.cloudinit import CONFIG_DRIVE_LABEL, NO_CLOUD_LABEL, config_drive_files, no_cloud_files
from kobune.virt.launcher.credentials import public_keys
from kobune.virt.launcher.places import Places

__all__ = ["find_kernel", "prepare_disks"]

MAX_CONFIG_BYTES = 8 * 1024 * 1024
_CONFIG_LABEL = "cfgdata"
_SYSPREP_LABEL = "unattend"


@dataclass(frozen=True, slots=True)
class _Task:
    vmi: VirtualMachineInstance
    facts: Facts
    places: Places
    runner: Runner
    volume: Volume
    field: str
    cdrom: bool
    sata_disk: bool
    devices: Sequence[Mapping[str, object]]


async def prepare_disks(
    vmi: VirtualMachineInstance,
    facts: Facts,
    places: Places,
    runner: Runner,
    only: Collection[str] | None = None,
    devices: Sequence[Mapping[str, object]] = (),
) -> dict[str, DiskSource]:
    """A source for every volume that is a disk (and in `only`, if that is given), prepared side by side.

    `devices` is what a config drive tells of tagged devices.

    Raises InvalidSpec (with the field), InvalidImage, or what kobune.host.run raises.
    """
    cdroms = {d.name: d.cdrom is not None for d in vmi.spec.domain.devices.disks}
    sata = {d.name for d in vmi.spec.domain.devices.disks if d.disk is not None and d.disk.bus == "sata"}
    tasks = [
        _Task(
            vmi,
            facts,
            places,
            runner,
            volume,
            f"spec.volumes[{index}]",
            cdroms[volume.name],
            volume.name in sata,
            devices,
        )
        for index, volume in enumerate(vmi.spec.volumes)
        if (name := volume.name) in cdroms and (only is None or name in only)
    ]
    sources = await asyncio.gather(*(_prepare(task) for task in tasks))
    matched = {disk.name for disk in vmi.spec.domain.devices.disks if _matches_volume(disk)}
    return {
        task.volume.name: with_block_sizes(source) if task.volume.name in matched else source
        for task, source in zip(tasks, sources, strict=True)
    }


def _matches_volume(disk: Disk) -> bool:
    match = disk.block_size.match_volume if disk.block_size is not None else None
    return match is not None and match.enabled is not False


async def _prepare(task: _Task) -> DiskSource:
    volume = task.volume
    told = next((disk for disk in task.facts.disks if disk.volume == volume.name), None)
    if told is not None:
        return DiskSource(told.path, told.format, told.read_only, told.block)
    if volume.container_disk is not None:
        return await _container_disk(task, volume.container_disk)
    if volume.persistent_volume_claim is not None:
        return _claim(task, read_only=volume.persistent_volume_claim.read_only is True)
    if volume.data_volume is not None:
        return _claim(task, read_only=False)
    if volume.ephemeral is not None:
        base = _claim(task, read_only=True)
        return await _overlay(task, base)
    if volume.empty_disk is not None:
        path = task.places.ephemeral_disks / "empty-disks" / f"{volume.name}.qcow2"
        await create_empty(task.runner, path, virtual_size=to_bytes(volume.empty_disk.capacity))
        return DiskSource(str(path), "qcow2")
    if volume.host_disk is not None:
        return _host_disk(task, volume.host_disk)
    if volume.downward_metrics is not None:
        return _metrics_disk(task)
    return await _made_of_files(task)


def _metrics_disk(task: _Task) -> DiskSource:
    # What few guests ask for must not cost all others memory.
    from kobune.virt.launcher.downwardmetrics import metrics_disk, write_metrics_disk

    write_metrics_disk(task.vmi, task.places, Path("/proc"))
    return DiskSource(str(metrics_disk(task.places)), read_only=True)


# --- images ---


async def _container_disk(task: _Task, source: ContainerDiskSource) -> DiskSource:
    root = task.places.container_disks / task.volume.name
    path = _find_disk(root, source.path, task.field)
    info = await inspect_image(task.runner, path)
    base = DiskSource(str(path), info.format, read_only=True)
    return base if task.cdrom else await _overlay(task, base)


def _find_disk(root: Path, wanted: str | None, field: str) -> Path:
    """The disk in a container disk's root: the path asked for, or the only file below `disk/`."""
    if wanted:
        path = root / wanted.lstrip("/")
    else:
        folder = root / "disk"
        try:
            files = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            raise InvalidImage(f"{field}.containerDisk: the image has no folder /disk ({error.strerror})") from error
        if len(files) != 1:
            raise InvalidImage(
                f"{field}.containerDisk: the image must have exactly one file in /disk, it has {len(files)}; "
                "name one with containerDisk.path"
            )
        path = files[0]
    return _inside(root, path, f"{field}.containerDisk")


def find_kernel(vmi: VirtualMachineInstance, places: Places) -> KernelSource | None:
    """The files of `firmware.kernelBoot`, or None when it is not asked for. Raises InvalidImage."""
    firmware = vmi.spec.domain.firmware
    boot = firmware.kernel_boot if firmware is not None else None
    if boot is None or boot.container is None:
        return None
    found = []
    for name, path in (("kernelPath", boot.container.kernel_path), ("initrdPath", boot.container.initrd_path)):
        field = f"spec.domain.firmware.kernelBoot.container.{name}"
        found.append(_inside(places.kernel_boot, places.kernel_boot / path.lstrip("/"), field) if path else None)
    kernel, initrd = (None if path is None else str(path) for path in found)
    return KernelSource(kernel, initrd)


def _inside(root: Path, path: Path, field: str) -> Path:
    """The regular file at `path` in an image's `root`, links resolved.

    A link in a hostile image could lead to a file of the pod; and a pipe or device would hang or mislead QEMU.
    """
    try:
        resolved = path.resolve(strict=True)
        regular = stat.S_ISREG(resolved.stat().st_mode)
    except OSError as error:
        raise InvalidImage(f"{field}: {path.relative_to(root)} is not in the image") from error
    if not resolved.is_relative_to(root.resolve()) or not regular:
        raise InvalidImage(f"{field}: {path.relative_to(root)} is not a regular file of the image")
    return resolved


async def _overlay(task: _Task, base: DiskSource) -> DiskSource:
    path = task.places.ephemeral_disks / "disk-data" / task.volume.name / "disk.qcow2"
    await create_overlay(task.runner, path, backing=Path(base.path), backing_format=base.format)
    return DiskSource(str(path), "qcow2", backing=base)


def _claim(task: _Task, *, read_only: bool) -> DiskSource:
    name, places = task.volume.name, task.places
    plugged = name in hotplug_volumes(task.vmi.spec)
    folder = (places.hotplug_disks if plugged else places.vmi_disks) / name
    device = (places.hotplug_devices if plugged else places.devices) / name
    return claim_disk(folder, device, task.field, capacity_bytes=_capacity(task), read_only=read_only)


def _capacity(task: _Task) -> int | None:
    """The claim's size as virt-controller has told it."""
    for status in task.vmi.status.volume_status:
        info = status.persistent_volume_claim_info
        if status.name == task.volume.name and info is not None and "storage" in info.capacity:
            return to_bytes(info.capacity["storage"])
    return None


def _host_disk(task: _Task, source: HostDisk) -> DiskSource:
    path = task.places.vmi_disks / task.volume.name / Path(source.path).name
    make = to_bytes(source.capacity) if source.type == "DiskOrCreate" and source.capacity is not None else None
    return host_disk(path, f"{task.field}.hostDisk", make_bytes=make)


# --- disks made of files ---


async def _made_of_files(task: _Task) -> DiskSource:
    label, files = _files(task)
    path = task.places.ephemeral_disks / "cloud-init" / f"{task.volume.name}.iso"
    await write_iso(task.runner, path, label=label, files=files)
    # QEMU's SATA disks cannot be read-only; the file is this instance's own and is made anew at every start.
    return DiskSource(str(path), "raw", read_only=not task.sata_disk)


def _files(task: _Task) -> tuple[str, dict[str, bytes]]:
    volume, places = task.volume, task.places

    def read_secret(kind: str, keys: tuple[str, ...]) -> bytes | None:
        folder = places.cloud_init_secrets / volume.name / kind
        return next((found for key in keys if (found := _read(folder / key)) is not None), None)

    if volume.cloud_init_no_cloud is not None:
        keys = public_keys(task.vmi, places.access_credentials, config_drive=False)
        return NO_CLOUD_LABEL, no_cloud_files(task.vmi, volume.cloud_init_no_cloud, task.field, read_secret, keys)
    if volume.cloud_init_config_drive is not None:
        keys = public_keys(task.vmi, places.access_credentials, config_drive=True)
        files = config_drive_files(
            task.vmi, volume.cloud_init_config_drive, task.field, read_secret, keys, task.devices
        )
        return CONFIG_DRIVE_LABEL, files
    if volume.config_map is not None:
        return volume.config_map.volume_label or _CONFIG_LABEL, _folder(places.private / "config-map" / volume.name)
    if volume.secret is not None:
        return volume.secret.volume_label or _CONFIG_LABEL, _folder(places.private / "secret" / volume.name)
    if volume.downward_api is not None:
        return volume.downward_api.volume_label or _CONFIG_LABEL, _folder(places.private / "downward-api" / volume.name)
    if volume.service_account is not None:
        return _CONFIG_LABEL, _folder(places.private / "service-account" / volume.name)
    if volume.sysprep is not None:
        return _SYSPREP_LABEL, _folder(places.private / "sysprep" / volume.name)
    raise InvalidSpec(task.field, f"volume {volume.name!r} cannot be a disk")


def _folder(folder: Path) -> dict[str, bytes]:
    """The files of a mounted configuration volume; the kubelet's own `..data` links are followed, not shown."""
    files: dict[str, bytes] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        if any(part.startswith("..") for part in path.relative_to(folder).parts) or not path.is_file():
            continue
        content = path.read_bytes()
        total += len(content)
        if total > MAX_CONFIG_BYTES:
            raise InvalidImage(f"{folder}: more than {MAX_CONFIG_BYTES} bytes of files")
        files[str(path.relative_to(folder))] = content
    return files


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
