"""Our own containerd instance: its configuration, its life, and the parts of its API that CRI does not offer."""

from kobune.host.containerd.client import ContainerdClient, ContainerdError, SnapshotMount, TaskEvent
from kobune.host.containerd.config import ContainerdConfig, render_config
from kobune.host.containerd.daemon import ContainerdDaemon, ContainerdNotReady
from kobune.host.containerd.images import import_image, list_images

__all__ = [
    "ContainerdClient",
    "ContainerdConfig",
    "ContainerdDaemon",
    "ContainerdError",
    "ContainerdNotReady",
    "SnapshotMount",
    "TaskEvent",
    "import_image",
    "list_images",
    "render_config",
]
