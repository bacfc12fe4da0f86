"""I/O threads: how many the domain has, and which disk uses which."""

from kobune.virt.domain.cpu import topology
from kobune.virt.domain.document import Domain, DomainSource

__all__ = ["configure", "disk_threads"]

AUTO_THREADS_PER_VCPU = 2


def disk_threads(source: DomainSource) -> dict[str, int]:
    """The thread, from 1 on, of every disk on virtio that has one.

    A disk with `dedicatedIOThread` has its own. The others share one with `ioThreadsPolicy` `shared` (also with
    `supplementalPool`, whose several threads for one disk need a newer QEMU); with `auto` they have one each, up to
    twice as many threads as there are virtual CPUs in all, and share these in turn. Without a policy only dedicated
    ones have a thread.
    """
    spec = source.vmi.spec.domain
    disks = [d for d in spec.devices.disks if d.cdrom is None and d.lun is None]
    disks = [d for d in disks if d.disk is None or (d.disk.bus or "virtio") == "virtio"]
    dedicated = [d for d in disks if d.dedicated_io_thread]
    shared = [d for d in disks if not d.dedicated_io_thread] if spec.io_threads_policy else []
    pool = min(len(shared), 1)
    if spec.io_threads_policy == "auto":
        limit = AUTO_THREADS_PER_VCPU * topology(spec).vcpus - len(dedicated)
        pool = min(len(shared), max(limit, 1))
    threads = {disk.name: 1 + number % pool for number, disk in enumerate(shared)}
    threads.update({disk.name: number for number, disk in enumerate(dedicated, pool + 1)})
    return threads


def configure(source: DomainSource, domain: Domain) -> None:
    """`<iothreads>`, when any disk has one."""
    threads = disk_threads(source)
    if threads:
        domain.top("iothreads", str(max(threads.values())))
