"""The pause image: the process that holds a pod's namespaces.

Debian's catatonit is a static program made for this (`-P`): it reaps orphans and ends on SIGTERM.
"""

from kobune_images.archive import Entry, ImageConfig, write_layer
from kobune_images.context import Build, Image
from kobune_images.debian import extract

__all__ = ["build"]


def build(build: Build) -> Image:
    """One layer: the program and its licence."""
    root = build.work / "root"
    build.say("unpacking catatonit")
    extract(root, ["catatonit"])
    entries = [
        Entry("pause", (root / "usr/bin/catatonit").read_bytes(), mode=0o755),
        Entry("usr/share/doc/catatonit/copyright", (root / "usr/share/doc/catatonit/copyright").read_bytes()),
    ]
    layer = write_layer(build.work / "pause.tar", entries)
    return Image([layer], ImageConfig(entrypoint=("/pause", "-P"), user="65535:65535"))
