"""Images from archives. Owns the use of containerd's own `ctr`, whose import understands Docker and OCI archives."""

from pathlib import Path

from kobune.host.containerd.config import NAMESPACE
from kobune.host.run import HostRunner, Runner

__all__ = ["import_image", "list_images"]

IMPORT_TIMEOUT_S = 600.0


async def import_image(
    socket: Path, archive: Path, *, runner: Runner | None = None, timeout_s: float = IMPORT_TIMEOUT_S
) -> None:
    """Import a docker-archive or OCI archive, unpacked for the snapshotter that CRI uses.

    Raises CommandFailed when the archive is none.
    """
    await (runner or HostRunner()).run(
        ["ctr", "--address", str(socket), "--namespace", NAMESPACE, "images", "import", str(archive)],
        timeout_s=timeout_s,
    )


async def list_images(socket: Path, *, runner: Runner | None = None) -> dict[str, str]:
    """The names of all images with the digest that each points to."""
    listing = await (runner or HostRunner()).run(
        ["ctr", "--address", str(socket), "--namespace", NAMESPACE, "images", "list"], timeout_s=30
    )
    images: dict[str, str] = {}
    for line in listing.text.splitlines()[1:]:
        name, _, rest = line.partition(" ")
        digest = next((word for word in rest.split() if word.startswith("sha256:")), "")
        if name and digest:
            images[name] = digest
    return images
