"""The container's environment, where device plugins tell which devices it was given."""

import os
from pathlib import Path

from kobune.virt.domain.hostdevices import PREFIXES

__all__ = ["container_environment"]


def container_environment(proc: Path = Path("/proc")) -> dict[str, str]:
    """Its variables about devices.

    As the container's first process got them: a shell in between drops those whose name it could not set itself
    (`PCI_RESOURCE_EXAMPLE_COM_MY-DEVICE`).
    """
    found = dict(os.environ)
    try:
        lines = (proc / "1/environ").read_bytes().split(b"\0")
    except OSError:
        lines = []
    for line in lines:
        name, equals, value = line.decode("utf-8", "replace").partition("=")
        if equals:
            found[name] = value
    return {name: value for name, value in found.items() if name.startswith(PREFIXES)}
