"""Removes everything that a node of this instance has left on the machine: what `kobune down` needs.

Works whether the kubelet and containerd run, have been killed, or were never started; every step can be repeated.
Touches only what carries this instance's paths and names.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.embedded.kubelet.names import GRACE_ANNOTATION, KubeletPaths
from kobune.embedded.kubelet.networks.attach import PodAttachments, remove_bridges
from kobune.embedded.kubelet.networks.definitions import no_definitions
from kobune.embedded.kubelet.networks.state import Records
from kobune.embedded.kubelet.volumes.provision import ImageVolumes, PodVolumes
from kobune.host.cgroup import Cgroups
from kobune.host.cni import CNI_BIN_DIR, BridgeNetwork, CniPlugins, remove_left_rules
from kobune.host.containerd import ContainerdClient, ContainerdConfig, ContainerdDaemon
from kobune.host.cri import ContainerState, CriClient, CriError, SandboxInfo
from kobune.host.mount import HostMounter
from kobune.host.netlink import IpCommand
from kobune.host.run import CommandError, HostRunner, Runner

__all__ = ["NodeRemains", "cleanup", "forget_attachments", "remove_node"]

_LOG = logging.getLogger(__name__)
STOP_LIMIT_S = 60.0
CNI_CACHES = (Path("/var/lib/cni/results"), Path("/var/lib/cni/cache"))


@dataclass(frozen=True, slots=True)
class NodeRemains:
    """Where one instance's node keeps its things. `keep_images` leaves containerd's image store for the next start."""

    containerd: ContainerdConfig
    kubelet_root: Path
    pod_logs: Path
    run_dir: Path
    network: BridgeNetwork
    cgroup_root: str = "/kobune"
    keep_images: bool = True


async def cleanup(data_dir: Path, *, grace_s: float = 30.0, keep_images: bool = True) -> list[str]:
    """`remove_node` for an instance with the usual layout of its data directory."""
    instance = NodeInstance.of(data_dir)
    remains = NodeRemains(
        containerd=ContainerdConfig.for_data_dir(data_dir),
        kubelet_root=data_dir / "kubelet",
        pod_logs=data_dir / "logs" / "pods",
        run_dir=data_dir / "run" / "exec",
        network=instance.network,
        cgroup_root=instance.cgroup_root,
        keep_images=keep_images,
    )
    return await remove_node(remains, grace_s=grace_s)


async def remove_node(remains: NodeRemains, *, grace_s: float = 30.0, runner: Runner | None = None) -> list[str]:
    """Stop all pods and containerd, unmount, delete network and cgroups. Returns what could not be removed, as text.

    Containers get `grace_s` to end by themselves. The kubelet must have been stopped, or it would start its pods again.
    """
    runner = runner or HostRunner()
    left: list[str] = []
    daemon = ContainerdDaemon(remains.containerd, runner)
    cgroups = Cgroups()
    had_anything = remains.containerd.root.exists() or remains.kubelet_root.exists()
    left += await _release_networks(remains, runner)
    if had_anything and _pods_may_run(remains, cgroups):
        try:
            # Also when it was killed: only containerd knows how to give back what its sandboxes have.
            await daemon.ensure()
            await _remove_pods(remains, grace_s)
        except KobuneError as error:
            _LOG.warning("pods are removed without containerd's help: %s", error)
    await daemon.stop()
    for pid in _shims(remains.containerd.socket):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not await asyncio.to_thread(cgroups.kill, remains.cgroup_root):
        left.append(f"processes {sorted(cgroups.processes(remains.cgroup_root))} in cgroup {remains.cgroup_root}")
    await _unmount(remains, left)
    if not cgroups.remove(remains.cgroup_root):
        left.append(f"cgroup {remains.cgroup_root}")
    await _remove_network(remains, runner, left)
    _remove_directories(remains, left)
    return left


async def _release_networks(remains: NodeRemains, runner: Runner) -> list[str]:
    """Give back pods' further networks while their namespaces are there; a pod's processes may still run in them."""
    records = Records(KubeletPaths(remains.kubelet_root, remains.pod_logs).networks)
    netlink = IpCommand(runner)
    plugins = CniPlugins(runner, CNI_BIN_DIR, remains.network.state_dir)
    attachments = PodAttachments(plugins, netlink, records, no_definitions, remains.network.name)
    return [*await attachments.release_all(), *await remove_bridges(records, netlink)]


def _pods_may_run(remains: NodeRemains, cgroups: Cgroups) -> bool:
    return (
        bool(cgroups.directories(remains.cgroup_root))
        or any(_shims(remains.containerd.socket))
        or ((remains.kubelet_root / "pods").is_dir() and any((remains.kubelet_root / "pods").iterdir()))
    )


async def _remove_pods(remains: NodeRemains, grace_s: float) -> None:
    cri = CriClient(remains.containerd.socket)
    containerd = ContainerdClient(remains.containerd.socket)
    try:
        async with asyncio.timeout(STOP_LIMIT_S + grace_s):
            sandboxes = await cri.list_sandboxes()
            graces = {own.id: _grace_s(own, grace_s) for own in sandboxes}
            running = [own for own in await cri.list_containers() if own.state is ContainerState.RUNNING]
            stops = [_stop_container(cri, own.id, graces.get(own.sandbox_id, grace_s)) for own in running]
            await asyncio.gather(*stops)
            await asyncio.gather(*[_remove_sandbox(cri, sandbox.id) for sandbox in sandboxes])
            paths = KubeletPaths(remains.kubelet_root, remains.pod_logs)
            volumes = PodVolumes(paths, HostMounter(), ImageVolumes(cri, containerd, HostMounter(), _no_image))
            for directory in sorted(paths.pods.iterdir()) if paths.pods.is_dir() else ():
                await volumes.tear_down(directory.name)
    except TimeoutError:
        _LOG.warning("containerd did not remove all pods within %g s", STOP_LIMIT_S + grace_s)
    finally:
        await cri.close()
        await containerd.close()


async def _no_image(reference: str, policy: str, pod: object) -> None:
    """Cleaning up pulls nothing."""


def _grace_s(sandbox: SandboxInfo, limit_s: float) -> float:
    """The pod's own grace, which nobody has to wait beyond."""
    own = sandbox.annotations.get(GRACE_ANNOTATION, "")
    return min(float(own), limit_s) if own.isdigit() else limit_s


async def _stop_container(cri: CriClient, container_id: str, grace_s: float) -> None:
    try:
        await cri.stop_container(container_id, int(grace_s))
    except CriError as error:
        _LOG.warning("container %s is ended with its sandbox: %s", container_id[:12], error)


async def _remove_sandbox(cri: CriClient, sandbox_id: str) -> None:
    try:
        await cri.stop_sandbox(sandbox_id)
        await cri.remove_sandbox(sandbox_id)
    except CriError as error:
        _LOG.warning("sandbox %s is removed by force: %s", sandbox_id[:12], error)


async def _unmount(remains: NodeRemains, left: list[str]) -> None:
    mounter = HostMounter()
    for root in (remains.kubelet_root, remains.containerd.state, remains.containerd.root):
        for point in mounter.below(root):
            try:
                await mounter.unmount(point)
            except CommandError as error:
                left.append(f"mount {point}: {error}")


async def _remove_network(remains: NodeRemains, runner: Runner, left: list[str]) -> None:
    bridge = remains.network.bridge
    if (Path("/sys/class/net") / bridge).exists():
        try:
            await runner.run(["ip", "link", "delete", bridge], timeout_s=10)
        except CommandError as error:
            left.append(f"interface {bridge}: {error}")
    try:
        await remove_left_rules(runner, remains.network.name)
    except CommandError as error:
        left.append(f"rules of network {remains.network.name}: {error}")
    forget_attachments(remains, CNI_CACHES)


def forget_attachments(remains: NodeRemains, caches: Iterable[Path]) -> None:
    """Remove the runtime's records of what it has attached: of this network, and of the instance's loopback devices."""
    own = os.fsencode(remains.containerd.network_namespaces)
    for cache in caches:
        for file in cache.glob(f"{remains.network.name}-*"):
            file.unlink(missing_ok=True)
        for file in cache.glob("cni-loopback-*"):
            # The network is that of all instances; the record tells whose namespace it was.
            with contextlib.suppress(FileNotFoundError):
                if own + b"/" in file.read_bytes():
                    file.unlink(missing_ok=True)


def _remove_directories(remains: NodeRemains, left: list[str]) -> None:
    paths = [
        remains.kubelet_root,
        remains.pod_logs,
        remains.run_dir,
        remains.containerd.state,
        remains.containerd.cni_conf_dir,
        remains.network.state_dir,
    ]
    if not remains.keep_images:
        paths.append(remains.containerd.root)
    mounter = HostMounter()
    for path in paths:
        if mounter.below(path):
            # Deleting through a mount would delete what is mounted there.
            left.append(f"{path}: something is still mounted in it")
            continue
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            left.append(str(path))


def _shims(socket: Path) -> Iterator[int]:
    """Containers' shims of this containerd: they name its socket."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"containerd-shim-runc-v2") and str(socket).encode() in words:
            yield int(entry.name)
