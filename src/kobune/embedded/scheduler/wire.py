"""Feeds the scheduler: which pods wait, what makes them look again, and bindings that the watch does not show yet."""

import json
from collections.abc import Iterable
from typing import Any, assert_never

from kobune.api.core import Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from kobune.base.clock import Clock
from kobune.embedded.scheduler.decide import Bind, ClaimView, SchedulerAction, Seen, SelectNode, decide
from kobune.kube.client.core import NODES, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from kobune.kube.client.errors import Conflict, NotFound
from kobune.kube.client.objects import key_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.informer import Informer
from kobune.kube.runtime import Controller, ControllerProcess, Watch, Written

__all__ = ["SCHEDULER_NAME", "add_scheduler"]

SCHEDULER_NAME = "default-scheduler"
ASSUME_S = 30.0
SELECTED_NODE = "volume.kubernetes.io/selected-node"


def add_scheduler(process: ControllerProcess) -> Controller[Seen, SchedulerAction]:
    """Add the scheduler to a process of controllers."""
    pods = process.informers.of(PODS)
    nodes = process.informers.of(NODES)
    claims = process.informers.of(PERSISTENT_VOLUME_CLAIMS)
    volumes = process.informers.of(PERSISTENT_VOLUMES)
    classes = process.informers.of(STORAGE_CLASSES)
    scheduler = _Scheduler(process.client, pods, nodes, claims, volumes, classes, process.clock)
    return process.add(
        "scheduler",
        primary=pods,
        observe=scheduler.observe,
        decide=decide,
        execute=scheduler.execute,
        watches=(
            Watch(nodes, scheduler.waiting, _node_matters),
            Watch(pods, scheduler.waiting, _frees_something),
            Watch(claims, scheduler.waiting),
            Watch(volumes, scheduler.waiting),
            Watch(classes, scheduler.waiting),
        ),
        # One at a time: each decision must see the binding before it.
        workers=1,
    )


class _Scheduler:
    """The state between decisions: bindings made and not yet seen."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Pod],
        nodes: Informer[Node],
        claims: Informer[PersistentVolumeClaim],
        volumes: Informer[PersistentVolume],
        classes: Informer[StorageClass],
        clock: Clock,
    ) -> None:
        self._client = client
        self._pods = pods
        self._nodes = nodes
        self._claims = claims
        self._volumes = volumes
        self._classes = classes
        self._clock = clock
        # uid -> (node, when it counts no more)
        self._assumed: dict[str, tuple[str, float]] = {}

    async def observe(self, key: Key) -> Seen | None:
        """What the decision needs; None for a pod that needs none."""
        now_s = self._clock.monotonic_s()
        # A binding that the watch has not shown for so long is lost: the pod is decided again.
        self._assumed = {uid: known for uid, known in self._assumed.items() if known[1] > now_s}
        pod = self._pods.get(key)
        if pod is None or not _waits(pod) or pod.metadata.uid in self._assumed:
            return None
        placed: list[tuple[str, Pod]] = []
        unseen: dict[str, tuple[str, float]] = {}
        for other in self._pods.list():
            uid = other.metadata.uid
            if other.spec.node_name:
                if other.status.phase not in ("Succeeded", "Failed"):
                    placed.append((other.spec.node_name, other))
            elif uid in self._assumed:
                unseen[uid] = self._assumed[uid]
                placed.append((self._assumed[uid][0], other))
        self._assumed = unseen
        return Seen(pod, self._nodes.list(), placed, self._clock.now(), self._claim_views(pod))

    def _claim_views(self, pod: Pod) -> list[ClaimView]:
        views: list[ClaimView] = []
        for source in pod.spec.volumes:
            if source.persistent_volume_claim is None:
                continue
            name = source.persistent_volume_claim.claim_name
            claim = self._claims.get(Key(pod.metadata.namespace, name))
            if claim is None or claim.metadata.deletion_timestamp is not None:
                views.append(ClaimView(name, exists=False, bound=False))
                continue
            volume = self._volumes.get(Key("", claim.spec.volume_name)) if claim.spec.volume_name else None
            affinity = volume.spec.node_affinity if volume is not None else None
            bound = claim.status.phase == "Bound" and volume is not None
            known = self._classes.get(Key("", claim.spec.storage_class_name or ""))
            views.append(
                ClaimView(
                    name,
                    exists=True,
                    bound=bound,
                    reach=affinity.required if affinity else None,
                    late=known is not None and known.volume_binding_mode == "WaitForFirstConsumer",
                    selected=claim.metadata.annotations.get(SELECTED_NODE, ""),
                )
            )
        return views

    async def execute(self, action: SchedulerAction) -> Written | None:
        """Bind, or select a node for a claim."""
        match action:
            case Bind():
                return await self._bind(action)
            case SelectNode(key=key, node=node):
                patch = Patch.merge({"metadata": {"annotations": {SELECTED_NODE: node}}})
                try:
                    await self._client.patch(PERSISTENT_VOLUME_CLAIMS, key.name, patch, key.namespace)
                except NotFound:
                    return None
                return None
            case _:
                assert_never(action)

    async def _bind(self, action: Bind) -> Written | None:
        """Bind; a pod that is gone or was bound by somebody else needs nothing."""
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": action.key.name, "namespace": action.key.namespace, "uid": action.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": action.node},
        }
        self._assumed[action.uid] = (action.node, self._clock.monotonic_s() + ASSUME_S)
        try:
            path = PODS.path(action.key.namespace, action.key.name, "binding")
            await self._client.raw("POST", path, body=json.dumps(body).encode())
        except (NotFound, Conflict):
            self._assumed.pop(action.uid, None)
        except BaseException:
            self._assumed.pop(action.uid, None)
            raise
        return None

    def waiting(self, _: Any) -> Iterable[Key]:
        """All pods without a node: something may have become possible for them."""
        return [key_of(pod) for pod in self._pods.list() if _waits(pod)]


def _waits(pod: Pod) -> bool:
    return (
        not pod.spec.node_name
        and (pod.spec.scheduler_name or SCHEDULER_NAME) == SCHEDULER_NAME
        and pod.metadata.deletion_timestamp is None
        and pod.status.phase not in ("Succeeded", "Failed")
    )


def _node_matters(old: Node, new: Node) -> bool:
    """Heartbeats change nothing for pods that wait."""
    return (
        old.spec != new.spec
        or old.metadata.labels != new.metadata.labels
        or old.status.allocatable != new.status.allocatable
    )


def _frees_something(old: Pod, new: Pod) -> bool:
    """A pod that ends gives back what it had; new ones change affinities."""
    ended = ("Succeeded", "Failed")
    return (
        (old.status.phase not in ended and new.status.phase in ended)
        or old.spec.node_name != new.spec.node_name
        or old.metadata.labels != new.metadata.labels
    )
