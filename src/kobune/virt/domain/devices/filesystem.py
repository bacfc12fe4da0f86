"""Volumes that the guest mounts as file systems, by virtiofs: each is served by a container of its own in the pod."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import FILESYSTEM_SOCKETS

__all__ = ["configure", "socket_path"]


def socket_path(volume: str) -> str:
    """Where the volume's container listens."""
    return f"{FILESYSTEM_SOCKETS}/{volume}.sock"


def configure(source: DomainSource, domain: Domain) -> None:
    """`<filesystem>`; the tag that the guest mounts is the volume's name."""
    for filesystem in source.vmi.spec.domain.devices.filesystems:
        element = add(domain.devices, "filesystem", type="mount")
        add(element, "driver", type="virtiofs")
        add(element, "source", socket=socket_path(filesystem.name))
        add(element, "target", dir=filesystem.name)
        add(element, "alias", name=f"ua-{filesystem.name}")
