"""One node in memory: a runtime, an API, volumes and a pod's worker, for tests of the kubelet without root."""

import asyncio
from pathlib import Path
from typing import Any

from kobune.api.core import Pod
from kobune.embedded.kubelet.context import NodeContext
from kobune.embedded.kubelet.devices import DevicePlugins
from kobune.embedded.kubelet.images import Images
from kobune.embedded.kubelet.names import KubeletPaths
from kobune.embedded.kubelet.networks.attach import PodAttachments
from kobune.embedded.kubelet.networks.cluster import ClusterNetwork
from kobune.embedded.kubelet.networks.state import Records
from kobune.embedded.kubelet.objects import NodeFacts, PodObjects
from kobune.embedded.kubelet.render import DnsConfig
from kobune.embedded.kubelet.volumes.claims import NodeClaims
from kobune.embedded.kubelet.volumes.provision import ImageVolumes, PodVolumes
from kobune.embedded.kubelet.worker import PodWorker
from kobune.host.cgroup import Cgroups
from kobune.host.cni import BridgeNetwork, InvalidNetwork
from kobune.host.cni.fake import FakePlugins
from kobune.host.containerd import SnapshotMount
from kobune.host.cri.fake import FakeCri
from kobune.host.loop import LoopDevices
from kobune.host.mount import FakeMounter
from kobune.host.netlink.fake import FakeNetlink
from kobune.host.run.fake import FakeRunner
from kobune.kube.client.core import EVENTS, PODS
from kobune.kube.runtime import EventRecorder
from kobune.kube.testing import FakeApi, FakeClock, eventually_true

__all__ = ["FakeSnapshots", "World"]


class FakeSnapshots:
    """Views of images that do not exist."""

    def __init__(self) -> None:
        self.views: dict[str, str] = {}

    async def view_snapshot(self, key: str, parent: str) -> list[SnapshotMount]:
        self.views[key] = parent
        return [SnapshotMount("bind", "/image", ("ro", "rbind"))]

    async def remove_snapshot(self, key: str) -> None:
        self.views.pop(key, None)


class World:
    """One node with one pod at a time."""

    def __init__(self, root: Path) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(clock=self.clock)
        self.cri = FakeCri(self.clock, "img:1")
        self.snapshots = FakeSnapshots()
        self.mounter = FakeMounter()
        self.plugins = FakePlugins()
        self.runner = FakeRunner()
        self.networks: dict[str, str] = {}
        """`spec.config` of NetworkAttachmentDefinitions by NAMESPACE/NAME."""
        self.events = EventRecorder(self.api, component="kubelet", instance="node1", clock=self.clock)
        self.paths = KubeletPaths(root / "kubelet", root / "logs")
        self.paths.pod_logs.mkdir(parents=True)
        facts = NodeFacts("node1", "192.0.2.1", 8 << 30, {})
        images = Images(self.cri)

        async def ensure(reference: str, policy: str, pod: Pod) -> None:
            await images.ensure(reference, policy, [])

        self.context = NodeContext(
            client=self.api,
            events=self.events,
            clock=self.clock,
            cri=self.cri,
            images=images,
            volumes=PodVolumes(
                self.paths,
                self.mounter,
                ImageVolumes(self.cri, self.snapshots, self.mounter, ensure),
                NodeClaims(self.api, LoopDevices(FakeRunner())),
            ),
            networks=PodAttachments(
                self.plugins, FakeNetlink(), Records(self.paths.networks), self.definition, "kobune"
            ),
            cluster_network=ClusterNetwork(
                BridgeNetwork(state_dir=root / "cni"),
                self.plugins,
                self.runner,
                self.mounter,
                root / "netns",
                root / "results",
            ),
            objects=PodObjects(self.api, None, facts),
            devices=DevicePlugins(root / "plugins", lambda: None),
            cgroups=Cgroups(root / "cgroup"),
            paths=self.paths,
            facts=facts,
            cluster_dns=DnsConfig(),
            host_dns=lambda: DnsConfig(("192.0.2.53",)),
            cgroup_root="/kobune",
        )
        self.cri.namespaces = root / "netns"
        self.cri.namespaces.mkdir()
        (root / "cgroup").mkdir()
        (root / "plugins").mkdir()
        self.worker: PodWorker | None = None
        self.tasks: list[asyncio.Task[None]] = [asyncio.create_task(self.events.run())]

    async def definition(self, namespace: str, name: str) -> str:
        """As the API answers."""
        try:
            return self.networks[f"{namespace}/{name}"]
        except KeyError:
            raise InvalidNetwork(f"NetworkAttachmentDefinition {namespace}/{name} does not exist") from None

    async def start(self, spec: dict[str, Any], **metadata: Any) -> PodWorker:
        """Create the pod `web` and work on it."""
        created = await self.api.create(PODS, {"metadata": {"name": "web", **metadata}, "spec": spec}, "default")
        return self.begin(created)

    def begin(self, pod: Pod | None, uid: str = "") -> PodWorker:
        """Work on a pod, as a new kubelet does."""
        tracked: set[str] = set()
        worker = PodWorker(self.context, pod.metadata.uid if pod else uid, pod, lambda known, _: tracked.add(known))

        def changed(topic: str, container_id: str) -> None:
            # As on a real node: an event about a container that nobody has told of reaches no pod.
            if container_id in tracked:
                worker.wake()

        self.cri.on_change = changed
        self.worker = worker
        self.tasks.append(asyncio.create_task(worker.run()))
        return worker

    async def crash(self) -> None:
        """The kubelet ends in the middle of whatever it does."""
        task = self.tasks.pop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def pod(self) -> Pod:
        """The pod as the API has it."""
        return await self.api.get(PODS, "web", "default")

    async def until_phase(self, phase: str) -> Pod:
        """Wait for it."""

        async def reached() -> bool:
            return (await self.pod()).status.phase == phase

        await eventually_true(reached, f"phase {phase}")
        return await self.pod()

    async def reasons(self) -> list[str]:
        """Of all events so far."""
        await self.events.flush()
        return [event.reason for event in (await self.api.list(EVENTS, "default")).items]

    async def close(self) -> None:
        """End everything."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
