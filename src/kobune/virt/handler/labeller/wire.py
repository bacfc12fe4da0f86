"""Keeps the labels of this node true: asks a pod of the launcher image once, remembers, and labels.

Owns: the labels of `labels.OWNED_PREFIXES`, the annotation `kobune.io/cpu-facts` by which virt-controller learns that
such a pod is no longer needed, and the file that carries the answer over restarts of virt-handler. The answer holds for
one boot, one image and one way of running guests (KVM or not).
"""

import asyncio
import logging
import socket
import struct
from pathlib import Path
from typing import Any, Final

import msgspec

from kobune.api.core import Pod
from kobune.api.kubevirt import KubeVirt
from kobune.base.errors import KobuneError
from kobune.host.files import write_file
from kobune.host.procroot import HeldProcess
from kobune.host.unixsocket import SocketGone, connect_socket
from kobune.kube.client.core import NODES, PODS
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.types import Patch
from kobune.kube.runtime import ControllerProcess
from kobune.virt.handler.devices.kvm import KvmProof
from kobune.virt.handler.labeller.documents import NodeCpu, read_cpu
from kobune.virt.handler.labeller.labels import OBSOLETE_MODELS, LabelPolicy, changed_labels, node_labels, vendor_label
from kobune.virt.handler.launchers import pod_volume
from kobune.virt.handler.network.setup import HoldInPod
from kobune.virt.launcherproto.cpufacts import CPU_FACTS_SOCKET, CPU_FACTS_VOLUME, CpuFacts, CpuFactsQuestion
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, encode_line, read_message

__all__ = ["CPU_FACTS_ANNOTATION", "CPU_FACTS_LABEL", "Labeller", "ask_pod", "label_policy"]

log = logging.getLogger(__name__)

CPU_FACTS_ANNOTATION: Final = "kobune.io/cpu-facts"
CPU_FACTS_LABEL: Final = "kobune.io/cpu-facts"
SKIP_ANNOTATION: Final = "node-labeller.kubevirt.io/skip-node"
ANSWER_TIMEOUT_S: Final = 60.0
SOCKET_TIMEOUT_S: Final = 20.0
POLL_S: Final = 0.1
RETRY_S: Final = 0.5
LATER_S: Final = 300.0
"""How often the labels are compared with the Node without a reason: somebody may have changed them."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered: for which image, boot and hypervisor the facts hold."""

    image: str
    variant: str
    cpu: NodeCpu


class Labeller:
    """Made once per virt-handler; `run` until cancelled."""

    def __init__(
        self,
        process: ControllerProcess,
        node: str,
        kubelet_root: Path,
        state_dir: Path,
        kvm: KvmProof,
        *,
        variant: str,
        host: Path = Path("/"),
    ) -> None:
        self._client = process.client
        self._node = node
        self._kubelet_root = kubelet_root
        self._file = state_dir / "cpu-facts.json"
        self._kvm = kvm
        self._variant = variant
        self._host = host
        self._changed = asyncio.Event()
        self._answer = self._remembered()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._installations = process.informers.of(KUBEVIRTS)
        self._installations.add_handler(lambda old, new: self._changed.set())
        pods = process.informers.of(PODS, label_selector=CPU_FACTS_LABEL, field_selector=f"spec.nodeName={node}")
        pods.add_handler(self._pod_changed)

    @property
    def answered_for(self) -> str:
        """The image that the labels are made from; empty before there was an answer."""
        return self._answer.image if self._answer is not None else ""

    async def run(self) -> None:
        """Label now, and whenever something changed."""
        try:
            while True:
                self._changed.clear()
                try:
                    await self._label()
                    delay_s = LATER_S
                except NotFound:
                    delay_s = RETRY_S  # not registered yet
                except ApiError as error:
                    log.warning("labels of node %s: %s", self._node, error)
                    delay_s = RETRY_S * 10
                try:
                    async with asyncio.timeout(delay_s):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._asking.values():
                task.cancel()

    async def _label(self) -> None:
        node = await self._client.get(NODES, self._node)
        annotations: dict[str, str | None] = {}
        facts = self.answered_for or None
        if node.metadata.annotations.get(CPU_FACTS_ANNOTATION) != facts:
            annotations[CPU_FACTS_ANNOTATION] = facts
        labels: dict[str, str | None] = {}
        if SKIP_ANNOTATION not in node.metadata.annotations:
            labels = changed_labels(node.metadata.labels, self._wanted())
        if labels or annotations:
            body = {"metadata": {"labels": labels, "annotations": annotations}}
            await self._client.patch(NODES, self._node, Patch.merge(body))

    def _wanted(self) -> dict[str, str]:
        policy = label_policy(self._installations.list())
        cpu = self._answer.cpu if self._answer is not None else None
        labels = vendor_label((self._host / "proc/cpuinfo").read_text())
        return labels | node_labels(
            cpu,
            policy,
            ksm=_number(self._host / "sys/kernel/mm/ksm/run") == 1,
            realtime=_number(self._host / "proc/sys/kernel/sched_rt_runtime_us") == -1,
        )

    # --- asking ---

    def _pod_changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is None or new.metadata.deletion_timestamp is not None or new.status.phase != "Running":
            return
        uid = new.metadata.uid
        image = new.metadata.annotations.get(CPU_FACTS_ANNOTATION, "")
        if uid not in self._asking and image and self.answered_for != image:
            self._asking[uid] = asyncio.create_task(self._ask(uid, image), name=f"cpu facts of pod {uid}")

    async def _ask(self, uid: str, image: str) -> None:
        try:
            path = pod_volume(self._kubelet_root, uid, CPU_FACTS_VOLUME) / CPU_FACTS_SOCKET
            facts, kvm = await ask_pod(path, self._kvm, uid)
            cpu = read_cpu(facts, kvm=kvm)
        except (KobuneError, OSError, ValueError, TimeoutError) as error:
            log.warning("what guests can have on this node is not known: %s", error or "no answer in time")
            return
        self._answer = Answer(image=image, variant=self._variant, cpu=cpu)
        await asyncio.to_thread(write_file, self._file, msgspec.json.encode(self._answer))
        log.info("%d CPU models and %d features by libvirt of %s", len(cpu.usable), len(cpu.features), image)
        self._changed.set()

    def _remembered(self) -> Answer | None:
        try:
            answer = msgspec.json.decode(self._file.read_bytes(), type=Answer)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return answer if answer.variant == self._variant else None


async def ask_pod(
    path: Path, kvm: KvmProof, pod_uid: str, hold: HoldInPod = HeldProcess.of_group
) -> tuple[CpuFacts, bool]:
    """Ask the pod behind a socket, about KVM if the pod was given one that works; the answer, and whether for KVM.

    Raises ConnectionLost, ProtocolViolation, SocketGone, OSError and TimeoutError.
    """
    async with asyncio.timeout(ANSWER_TIMEOUT_S):
        reader, writer = await _connect(path)
        try:
            granted = kvm.proved and await kvm.granted_to(hold(_peer_pid(writer), pod_uid))
            writer.write(encode_line(CpuFactsQuestion(kvm=granted)))
            await writer.drain()
            return await read_message(reader, msgspec.json.Decoder(CpuFacts)), granted
        finally:
            writer.close()


async def _connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The container may need a moment before it listens."""
    deadline_s = asyncio.get_running_loop().time() + SOCKET_TIMEOUT_S
    while True:
        try:
            return await connect_socket(path.parent, path.name, limit_bytes=MAX_LINE_BYTES)
        except SocketGone:
            if asyncio.get_running_loop().time() > deadline_s:
                raise
            await asyncio.sleep(POLL_S)


def _peer_pid(writer: asyncio.StreamWriter) -> int:
    peer: socket.socket = writer.get_extra_info("socket")
    pid, _, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def label_policy(installations: list[KubeVirt]) -> LabelPolicy:
    """What the installation says about CPU models."""
    for installation in installations:
        configuration = installation.spec.configuration
        if configuration is not None:
            told: dict[str, Any] = configuration.obsolete_cpu_models
            obsolete = frozenset(name for name, value in told.items() if value) if told else OBSOLETE_MODELS
            return LabelPolicy(obsolete=obsolete, minimum_model=configuration.min_cpu_model or "")
    return LabelPolicy()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
