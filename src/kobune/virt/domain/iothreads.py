"""I/O threads: how many the domain has, and which disk uses which."""

from kobune.virt.domain.document import Domain, DomainSource

__all__ = ["configure", "disk_threads"]


def disk_threads(source: DomainSource) -> dict[str, int]:
    """The thread, from 1 on, of every disk on virtio that has one.

    A disk with `dedicatedIOThread` has its own. The others share one when `ioThreadsPolicy` is `shared`, `auto` or
    `supplementalPool`; without a policy only dedicated ones have a thread.
    """
    spec = source.vmi.spec.domain
    disks = [d for d in spec.devices.disks if d.cdrom is None and d.lun is None]
    disks = [d for d in disks if d.disk is None or (d.disk.bus or "virtio") == "virtio"]
    threads: dict[str, int] = {}
    shared = [d for d in disks if not d.dedicated_io_thread] if spec.io_threads_policy else []
    for disk in shared:
        threads[disk.name] = 1
    first = 2 if shared else 1
    dedicated = [d for d in disks if d.dedicated_io_thread]
    threads.update({disk.name: number for number, disk in enumerate(dedicated, first)})
    return threads


def configure(source: DomainSource, domain: Domain) -> None:
    """`<iothreads>`, when any disk has one."""
    threads = disk_threads(source)
    if threads:
        domain.top("iothreads", str(max(threads.values())))
