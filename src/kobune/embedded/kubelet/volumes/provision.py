"""Makes, refreshes and removes the volumes of pods on this node.

Owns the directories below the kubelet's root and what is mounted there. Every step can be repeated: after a restart of
the kubelet, preparing a running pod's volumes finds them as they are.
"""

import logging
import os
import shutil
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from kobune.api.core import EmptyDirVolumeSource, HostPathVolumeSource, ImageVolumeSource, Pod, Volume
from kobune.base.errors import RetryableError
from kobune.base.quantity import to_bytes
from kobune.embedded.kubelet.environment import ConfigError, Dependencies
from kobune.embedded.kubelet.images import ImageError
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.render import MountedVolume
from kobune.embedded.kubelet.volumes.atomic import write_files
from kobune.embedded.kubelet.volumes.content import Tokens, is_content_volume, volume_files
from kobune.host.containerd import ContainerdError, SnapshotMount
from kobune.host.cri.types import CriError, CriRuntime
from kobune.host.mount import Mounter

__all__ = ["ClaimVolumes", "ImageVolumeError", "ImageVolumes", "PodVolumes", "VolumeError", "make_sub_path"]

_LOG = logging.getLogger(__name__)
CONTENT_TMPFS_BYTES = 8 << 20
"""Room for several of the largest Secrets (1 MiB), old and new files beside each other."""


class VolumeError(RetryableError):
    """A volume cannot be made yet; the message is fit for a FailedMount event."""


class ImageVolumeError(VolumeError):
    """An image that is a volume is not here. `reason` is Kubernetes' word for a waiting container."""

    def __init__(self, reference: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.reference = reference
        self.reason = reason


class ClaimVolumes(Protocol):
    """Volumes of PersistentVolumeClaims: whoever provides storage on this node."""

    async def publish(self, pod: Pod, claim: str, directory: Path, *, read_only: bool) -> MountedVolume:
        """Make the claim's volume available to the pod; raises VolumeError."""
        ...

    async def unpublish(self, pod_uid: str, directory: Path) -> None:
        """Undo `publish`; repeatable."""
        ...


class Snapshots(Protocol):
    """Read-only views of images' file systems; `ContainerdClient` keeps it."""

    async def view_snapshot(self, key: str, parent: str) -> list[SnapshotMount]:
        """How to mount the view; repeatable."""
        ...

    async def remove_snapshot(self, key: str) -> None:
        """Repeatable."""
        ...


class ImageVolumes:
    """Images mounted read-only: CRI of this containerd has no volumes from images, so the node mounts a snapshot."""

    def __init__(
        self,
        cri: CriRuntime,
        containerd: Snapshots,
        mounter: Mounter,
        ensure: Callable[[str, str, Pod], Awaitable[None]],
    ) -> None:
        self._cri = cri
        self._containerd = containerd
        self._mounter = mounter
        self._ensure = ensure

    async def publish(self, pod: Pod, source: ImageVolumeSource, directory: Path) -> None:
        """Mount the image's root file system at `directory`."""
        if self._mounter.below(directory):
            return
        try:
            await self._ensure(source.reference, source.pull_policy, pod)
        except ImageError as error:
            raise ImageVolumeError(source.reference, error.reason, str(error)) from error
        except CriError as error:
            raise ImageVolumeError(source.reference, "ErrImagePull", error.message) from error
        image = await self._cri.image(source.reference)
        if not image.chain_id:
            raise VolumeError(f"image {source.reference} has no file system to mount")
        _make(directory)
        mounts = await self._containerd.view_snapshot(_snapshot_key(directory), image.chain_id)
        for mount in mounts:
            await self._mounter.mount(mount.type, mount.source, directory, mount.options)

    async def unpublish(self, directory: Path) -> None:
        """Unmount and forget the snapshot; repeatable."""
        await self._mounter.unmount(directory)
        try:
            await self._containerd.remove_snapshot(_snapshot_key(directory))
        except ContainerdError as error:
            raise VolumeError(f"the snapshot of {directory.name} cannot be removed: {error}") from None


def _make(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)


def _snapshot_key(directory: Path) -> str:
    # .../pods/UID/volumes/kubernetes.io~image/NAME
    return f"kobune-volume-{directory.parents[2].name}-{directory.name}"


class PodVolumes:
    """The volumes of all pods of this node."""

    def __init__(
        self, paths: KubeletPaths, mounter: Mounter, images: ImageVolumes, claims: ClaimVolumes | None = None
    ) -> None:
        self._paths = paths
        self._mounter = mounter
        self._images = images
        self._claims = claims

    async def prepare(self, pod: Pod, given: Dependencies, tokens: Tokens) -> dict[str, MountedVolume]:
        """Make every volume of the pod; raises VolumeError for the first that cannot be made."""
        uid = pod.metadata.uid
        self._paths.pod(uid).mkdir(parents=True, exist_ok=True, mode=0o750)
        for folder in ("volumes", "containers", "plugins"):
            (self._paths.pod(uid) / folder).mkdir(exist_ok=True, mode=0o750)
        result: dict[str, MountedVolume] = {}
        for volume in pod.spec.volumes:
            try:
                result[volume.name] = await self._prepare_one(pod, volume, given, tokens)
            except ImageVolumeError:
                raise
            except (ConfigError, VolumeError) as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from None
            except OSError as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
        return result

    def refresh(self, pod: Pod, given: Dependencies, tokens: Tokens) -> None:
        """Bring the files of mounted ConfigMaps, Secrets, tokens and fields up to date; what fails stays as it is."""
        for volume in pod.spec.volumes:
            if is_content_volume(volume):
                directory = self._content_directory(pod.metadata.uid, volume)
                try:
                    write_files(directory, volume_files(pod, volume, given, tokens), _fs_group(pod))
                except (ConfigError, OSError) as error:
                    _LOG.warning("volume %s of pod %s keeps its files: %s", volume.name, pod.metadata.name, error)

    async def tear_down(self, uid: str) -> None:
        """Unmount and remove everything of a pod; repeatable."""
        root = self._paths.pod(uid)
        images = root / "volumes" / "kubernetes.io~image"
        if images.is_dir():
            for directory in sorted(images.iterdir()):
                await self._images.unpublish(directory)
        claims = root / "volumes" / "kubernetes.io~local-volume"
        if self._claims is not None and claims.is_dir():
            for directory in sorted(claims.iterdir()):
                await self._claims.unpublish(uid, directory)
        for point in self._mounter.below(root):
            await self._mounter.unmount(point)
        left = self._mounter.below(root)
        if left:
            # Removing a tree with a mount in it would remove what is mounted.
            raise VolumeError(f"{left[0]} is still mounted")
        if root.exists():
            shutil.rmtree(root)

    async def _prepare_one(self, pod: Pod, volume: Volume, given: Dependencies, tokens: Tokens) -> MountedVolume:
        uid = pod.metadata.uid
        if volume.empty_dir is not None:
            return await self._empty_dir(pod, volume.name, volume.empty_dir)
        if volume.host_path is not None:
            _check_host_path(volume.host_path)
            return MountedVolume(volume.host_path.path)
        if volume.image is not None:
            directory = self._paths.volume(uid, "image", volume.name)
            await self._images.publish(pod, volume.image, directory)
            return MountedVolume(str(directory), read_only=True)
        if volume.persistent_volume_claim is not None or volume.ephemeral is not None:
            if self._claims is None:
                raise VolumeError("this node has no storage for PersistentVolumeClaims")
            source = volume.persistent_volume_claim
            claim = source.claim_name if source else f"{pod.metadata.name}-{volume.name}"
            directory = self._paths.volume(uid, "local-volume", volume.name)
            return await self._claims.publish(pod, claim, directory, read_only=bool(source and source.read_only))
        if is_content_volume(volume):
            files = volume_files(pod, volume, given, tokens)
            directory = self._content_directory(uid, volume)
            directory.mkdir(parents=True, exist_ok=True)
            if (volume.secret or volume.projected) and not self._mounter.below(directory):
                # Secrets and tokens never reach a disk.
                await self._mounter.mount("tmpfs", "tmpfs", directory, ["mode=0755", f"size={CONTENT_TMPFS_BYTES}"])
            write_files(directory, files, _fs_group(pod))
            return MountedVolume(str(directory), read_only=True)
        raise VolumeError("no volume plugin matched: the volume's type is not supported by this node")

    def _content_directory(self, uid: str, volume: Volume) -> Path:
        plugin = (
            "configmap"
            if volume.config_map
            else "secret"
            if volume.secret
            else "downward-api"
            if volume.downward_api
            else "projected"
        )
        return self._paths.volume(uid, plugin, volume.name)

    async def _empty_dir(self, pod: Pod, name: str, source: EmptyDirVolumeSource) -> MountedVolume:
        directory = self._paths.volume(pod.metadata.uid, "empty-dir", name)
        new = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        if source.medium and not self._mounter.below(directory):
            new = True
            if source.medium == "Memory":
                size = [f"size={to_bytes(source.size_limit)}"] if source.size_limit is not None else []
                await self._mounter.mount("tmpfs", "tmpfs", directory, ["mode=0777", *size])
            elif source.medium.startswith("HugePages"):
                page = source.medium.partition("-")[2].rstrip("i")
                await self._mounter.mount("hugetlbfs", "nodev", directory, [f"pagesize={page}"] if page else [])
            else:
                raise VolumeError(f"unknown medium {source.medium}")
        if new:
            directory.chmod(0o777)
            group = _fs_group(pod)
            if group is not None:
                os.chown(directory, -1, group)
                directory.chmod(0o2777)
        return MountedVolume(str(directory))


def _fs_group(pod: Pod) -> int | None:
    return pod.spec.security_context.fs_group if pod.spec.security_context else None


def _check_host_path(source: HostPathVolumeSource) -> None:
    path = Path(source.path)
    kind = source.type or ""
    if kind == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
    elif kind == "FileOrCreate":
        path.touch(exist_ok=True, mode=0o644)
    elif kind == "" and not path.exists():
        # As the kubelet leaves it to the runtime, which makes a missing directory.
        path.mkdir(parents=True, mode=0o755)
    tests = {
        "Directory": stat.S_ISDIR,
        "File": stat.S_ISREG,
        "Socket": stat.S_ISSOCK,
        "CharDevice": stat.S_ISCHR,
        "BlockDevice": stat.S_ISBLK,
    }
    if kind in tests and not (path.exists() and tests[kind](path.stat().st_mode)):
        names = {"Directory": "directory", "File": "file", "Socket": "socket file"}
        what = names.get(kind, "character device" if kind == "CharDevice" else "block device")
        raise VolumeError(f"hostPath type check failed: {source.path} is not a {what}")


def make_sub_path(volume: Path, sub_path: Path) -> Path:
    """The real path of a volume's sub-path, made as a directory when it is missing.

    Raises VolumeError when it leads out of the volume.

    Containers write into volumes: a link that one of them has left there must not give another the node's files.
    """
    root = volume.resolve()
    target = sub_path.resolve()
    if target != root and root not in target.parents:
        raise VolumeError(f"subPath {sub_path.relative_to(volume)} leads out of its volume")
    if not target.exists():
        target.mkdir(parents=True, mode=0o750)
    return target
