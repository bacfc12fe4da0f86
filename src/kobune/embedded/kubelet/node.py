"""The Node object and the node's Lease. Owns both; other fields of the Node belong to others and stay untouched."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from kobune.api.core import Node
from kobune.base.clock import Clock, format_micro_time, format_time
from kobune.embedded.kubelet.devices import DevicePlugins
from kobune.embedded.kubelet.machine import MEMORY_RESERVE_BYTES, Machine, Pressure
from kobune.host.cri.types import CriError, CriRuntime
from kobune.kube.client.core import LEASES, NODES
from kobune.kube.client.errors import AlreadyExists, ApiError, NotFound
from kobune.kube.client.objects import to_builtins
from kobune.kube.client.protocol import Client
from kobune.kube.client.types import Patch

__all__ = ["NodeIdentity", "NodeRegistration", "node_status"]

_LOG = logging.getLogger(__name__)
LEASE_NAMESPACE = "kube-node-lease"
LEASE_DURATION_S = 40
HEARTBEAT_S = 10.0
STATUS_MAX_AGE = timedelta(minutes=5)
"""An unchanged status is written again after this."""
MAX_PODS = 110
MAX_IMAGES = 50


class NodeIdentity:
    """How the node is known."""

    def __init__(
        self, name: str, address: str, kubelet_port: int, pod_subnets: Sequence[str], labels: Mapping[str, str]
    ) -> None:
        self.name = name
        self.address = address
        self.kubelet_port = kubelet_port
        self.pod_subnets = tuple(pod_subnets)
        self.labels = dict(labels)


def node_status(
    identity: NodeIdentity,
    machine: Machine,
    pressure: Pressure,
    devices: Mapping[str, tuple[int, int]],
    runtime: Mapping[str, tuple[bool, str]],
    images: list[dict[str, Any]],
    stored: Node | None,
    now: str,
) -> dict[str, Any]:
    """The part of the status that a kubelet owns. Pure.

    Extended resources that are gone stay with 0, as plugins may come back.
    """
    capacity, allocatable = _resources(machine, devices, stored)
    return {
        "capacity": capacity,
        "allocatable": allocatable,
        "conditions": _conditions(pressure, runtime, stored, now),
        "addresses": [
            {"type": "InternalIP", "address": identity.address},
            {"type": "Hostname", "address": identity.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": identity.kubelet_port}},
        "nodeInfo": {
            "kubeProxyVersion": "",
            **to_builtins(machine.info),
        },
        "images": images,
    }


def _resources(
    machine: Machine, devices: Mapping[str, tuple[int, int]], stored: Node | None
) -> tuple[dict[str, str], dict[str, str]]:
    """What there is, and what pods may have of it."""
    base: dict[str, str] = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "pods": str(MAX_PODS),
        **{name: str(amount) for name, amount in machine.hugepages.items()},
    }
    capacity, allocatable = dict(base), dict(base)
    allocatable["memory"] = f"{max(machine.memory_bytes - MEMORY_RESERVE_BYTES, 0) // 1024}Ki"
    gone = {name for name in (stored.status.capacity if stored else {}) if "/" in name} - devices.keys()
    for name in sorted(gone):
        capacity[name] = allocatable[name] = "0"
    for name, (total, usable) in devices.items():
        capacity[name], allocatable[name] = str(total), str(usable)
    return capacity, allocatable


def _conditions(
    pressure: Pressure, runtime: Mapping[str, tuple[bool, str]], stored: Node | None, now: str
) -> list[dict[str, Any]]:
    """The kubelet's own conditions, and those that others have written."""
    problems = [f"{name}: {message}" for name, (good, message) in sorted(runtime.items()) if not good]
    if not runtime:
        problems = ["container runtime is down"]
    ready = not problems
    wanted = [
        *(
            (kind, "True" if pressed else "False", *(bad if pressed else good))
            for (kind, bad, good), pressed in zip(
                _PRESSURES, (pressure.memory, pressure.disk, pressure.pid), strict=True
            )
        ),
        (
            "Ready",
            "True" if ready else "False",
            "KubeletReady" if ready else "KubeletNotReady",
            "kubelet is posting ready status" if ready else "; ".join(problems),
        ),
    ]
    before = {condition.type: condition for condition in (stored.status.conditions if stored else [])}
    conditions = []
    for kind, status, reason, message in wanted:
        old = before.get(kind)
        same = old is not None and old.status == status
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": old.last_transition_time if same and old is not None else now,
            }
        )
    own = {kind for kind, *_ in wanted}
    return conditions + [to_builtins(old) for kind, old in before.items() if kind not in own]


# Condition, then reason and message with and without pressure, as kubelets word them.
_PRESSURES = (
    (
        "MemoryPressure",
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ),
    (
        "DiskPressure",
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ),
    (
        "PIDPressure",
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ),
)


class NodeRegistration:
    """Registers the node and keeps its status and Lease."""

    def __init__(
        self,
        client: Client,
        cri: CriRuntime,
        devices: DevicePlugins,
        identity: NodeIdentity,
        machine: Machine,
        clock: Clock,
        read_pressure: Callable[[], Pressure],
    ) -> None:
        self._client = client
        self._cri = cri
        self._devices = devices
        self._identity = identity
        self._machine = machine
        self._clock = clock
        self._read_pressure = read_pressure
        self._changed = asyncio.Event()
        self._written: dict[str, Any] | None = None
        self._written_at = clock.now()

    def wake(self) -> None:
        """The node's resources have changed."""
        self._changed.set()

    async def run(self, registered: asyncio.Event | None = None) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            try:
                await self._beat()
                if registered is not None:
                    registered.set()
                failures = 0
            except ApiError as error:
                failures += 1
                level = logging.WARNING if failures in (1, 10) else logging.DEBUG
                _LOG.log(level, "node %s cannot be kept up to date: %s", self._identity.name, error)
            delay_s = HEARTBEAT_S if failures == 0 else min(0.2 * 2.0**failures, HEARTBEAT_S)
            try:
                async with asyncio.timeout(delay_s):
                    await self._changed.wait()
                self._changed.clear()
                # Plugins come in groups: one write for all of them.
                await asyncio.sleep(0.05)
            except TimeoutError:
                pass

    async def _beat(self) -> None:
        node = await self._node()
        await self._write_status(node)
        await self._renew_lease(node)

    async def _node(self) -> Node:
        identity = self._identity
        labels = identity.labels | {
            "kubernetes.io/hostname": identity.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": self._machine.info.architecture,
        }
        try:
            node = await self._client.get(NODES, identity.name)
        except NotFound:
            body = {
                "metadata": {"name": identity.name, "labels": labels},
                "spec": {"podCIDR": identity.pod_subnets[0], "podCIDRs": list(identity.pod_subnets)},
            }
            self._written = None
            try:
                return await self._client.create(NODES, body)
            except AlreadyExists:
                return await self._client.get(NODES, identity.name)
        missing = {key: value for key, value in labels.items() if node.metadata.labels.get(key) != value}
        if missing:
            return await self._client.patch(NODES, identity.name, Patch.merge({"metadata": {"labels": missing}}))
        return node

    async def _write_status(self, node: Node) -> None:
        now = self._clock.now()
        try:
            runtime = await self._cri.conditions()
            images = await self._images()
        except CriError as error:
            runtime, images = {"RuntimeReady": (False, error.message)}, []
        status = node_status(
            self._identity,
            self._machine,
            self._read_pressure(),
            self._devices.capacity(),
            runtime,
            images,
            node,
            format_time(now),
        )
        if self._written == _without_heartbeat(status) and now - self._written_at < STATUS_MAX_AGE:
            return
        await self._client.patch(NODES, self._identity.name, Patch.merge({"status": status}), subresource="status")
        self._written, self._written_at = _without_heartbeat(status), now

    async def _images(self) -> list[dict[str, Any]]:
        images = sorted(await self._cri.list_images(), key=lambda image: -image.size_bytes)[:MAX_IMAGES]
        return [
            {"names": [*image.digests, *image.tags] or [image.id], "sizeBytes": image.size_bytes} for image in images
        ]

    async def _renew_lease(self, node: Node) -> None:
        name = self._identity.name
        spec = {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": format_micro_time(self._clock.now()),
        }
        try:
            await self._client.patch(LEASES, name, Patch.merge({"spec": spec}), LEASE_NAMESPACE)
        except NotFound:
            owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid}
            body = {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec}
            await self._client.create(LEASES, body, LEASE_NAMESPACE)


def _without_heartbeat(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
        for condition in status["conditions"]
    ]
    return status | {"conditions": conditions}
