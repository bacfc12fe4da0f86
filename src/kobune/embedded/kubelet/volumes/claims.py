"""PersistentVolumeClaims on this node: volumes that are a directory or a block device of the machine.

Owns the way from a claim to its volume's path. Must not provision or bind: that is done before a pod comes here.
"""

import asyncio
import contextlib
import os
import stat
from pathlib import Path

from kobune.api.core import PersistentVolume, PersistentVolumeClaim, Pod
from kobune.embedded.kubelet.render import MountedVolume
from kobune.embedded.kubelet.volumes.provision import VolumeError
from kobune.host.loop import Loops
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client

__all__ = ["NodeClaims"]


class NodeClaims:
    """Keeps `ClaimVolumes` for volumes with a `hostPath` or `local` source."""

    def __init__(self, client: Client, loops: Loops) -> None:
        self._client = client
        self._loops = loops

    async def publish(self, pod: Pod, claim: str, directory: Path, *, read_only: bool) -> MountedVolume:
        """The path of the claim's volume; raises VolumeError while there is none, and ApiError."""
        try:
            found = await self._client.get(PERSISTENT_VOLUME_CLAIMS, claim, pod.metadata.namespace)
        except NotFound:
            raise VolumeError(f'persistentvolumeclaim "{claim}" not found') from None
        if found.status.phase != "Bound" or not found.spec.volume_name:
            raise VolumeError(f'PersistentVolumeClaim "{claim}" is not bound yet')
        try:
            volume = await self._client.get(PERSISTENT_VOLUMES, found.spec.volume_name)
        except NotFound:
            raise VolumeError(f'persistentvolume "{found.spec.volume_name}" not found') from None
        _check_owner(volume, found)
        path = _path(volume)
        block = volume.spec.volume_mode == "Block"
        if block and path.is_file():
            path = await self._loops.attach(path)
        elif not block:
            # There may be many files.
            await asyncio.to_thread(_give_to_group, path, pod)
        return MountedVolume(str(path), read_only=read_only, block=block)

    async def unpublish(self, pod_uid: str, directory: Path) -> None:
        """Nothing was mounted; a loop device stays with its file until the volume is erased."""


def _check_owner(volume: PersistentVolume, claim: PersistentVolumeClaim) -> None:
    reference = volume.spec.claim_ref
    if reference is None or reference.uid != claim.metadata.uid:
        # Another claim's data must not be shown because of a name.
        raise VolumeError(f'persistentvolume "{volume.metadata.name}" does not belong to this claim')


def _path(volume: PersistentVolume) -> Path:
    source = volume.spec.local or volume.spec.host_path
    if source is None:
        raise VolumeError(f'persistentvolume "{volume.metadata.name}" is of a kind that this node cannot use')
    path = Path(source.path)
    if volume.spec.volume_mode == "Block":
        if not (path.is_file() or (path.exists() and stat.S_ISBLK(path.stat().st_mode))):
            raise VolumeError(f"{path} is neither a block device nor a file")
    elif not path.is_dir():
        raise VolumeError(f"{path} is not a directory")
    return path


def _give_to_group(path: Path, pod: Pod) -> None:
    """As for other volumes: what is in there belongs to the pod's fsGroup. Once done, it is not done again."""
    group = pod.spec.security_context.fs_group if pod.spec.security_context else None
    if group is None:
        return
    root = path.stat()
    if root.st_gid == group and root.st_mode & stat.S_ISGID:
        return
    # By descriptors: another pod may write there, and replace a folder by a link to the node's files meanwhile.
    for _, folders, files, descriptor in os.fwalk(path, follow_symlinks=False):
        for name in [*folders, *files]:
            with contextlib.suppress(FileNotFoundError):
                os.chown(name, -1, group, dir_fd=descriptor, follow_symlinks=False)
    os.chown(path, -1, group)
    path.chmod(stat.S_IMODE(root.st_mode) | stat.S_ISGID | 0o070)
