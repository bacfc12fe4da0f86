"""How much a pod has written to volumes of the node's disk whose size is limited.

Owns measuring and the words; the pod's worker ends it. Kubernetes' rule: a limit is looked at now and then, and a pod
that is over it is evicted.
"""

import os
from pathlib import Path

from kobune.api.core import Pod
from kobune.base.quantity import to_bytes
from kobune.embedded.kubelet.names import KubeletPaths

__all__ = ["over_limit", "used_bytes"]


def over_limit(pod: Pod, paths: KubeletPaths) -> str:
    """Why the pod must go, empty when it is within its limits. Reads whole trees: call it in a thread."""
    for volume in pod.spec.volumes:
        source = volume.empty_dir
        if source is None or source.size_limit is None or source.medium:
            continue
        limit = to_bytes(source.size_limit)
        if limit > 0 and used_bytes(paths.volume(pod.metadata.uid, "empty-dir", volume.name)) > limit:
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{source.size_limit}". '
    return ""


def used_bytes(directory: Path) -> int:
    """What is allocated for a tree, each file counted once; no link is followed, and no other file system entered."""
    total = 0
    seen: set[int] = set()
    try:
        device = directory.lstat().st_dev
    except FileNotFoundError:
        return 0
    for _, folders, files, descriptor in os.fwalk(directory, follow_symlinks=False):
        for name in [*folders, *files]:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:  # it was just deleted
                continue
            if status.st_dev != device:
                if name in folders:
                    folders.remove(name)
                continue
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total
