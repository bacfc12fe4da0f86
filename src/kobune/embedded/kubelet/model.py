"""What a pod's decision is made from, and what it can ask for. Plain data; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from kobune.api.core import Container, ContainerStatus, Pod, PodStatus
from kobune.host.cri.types import ContainerInfo, ContainerState, SandboxInfo
from kobune.kube.runtime.decision import Event

__all__ = [
    "NETWORKS_PROBLEM",
    "AttachNetworks",
    "ContainerInfo",
    "ContainerState",
    "FinishDeletion",
    "ForgetPod",
    "ImageView",
    "ImageViewState",
    "KillContainer",
    "PodAction",
    "PodMemory",
    "PodObserved",
    "PodPlan",
    "PrepareVolumes",
    "ProbeView",
    "Problem",
    "PullImage",
    "RemoveContainer",
    "RemoveSandbox",
    "RunSandbox",
    "SandboxInfo",
    "StartContainer",
    "StopSandbox",
    "TearDownVolumes",
    "all_container_statuses",
    "all_containers",
    "is_sidecar",
]


NETWORKS_PROBLEM = "/networks"
"""The name under which a problem with a running pod's further networks is remembered; no container has it."""


class ImageViewState(StrEnum):
    """Where a container's image is."""

    PRESENT = "Present"
    PULLING = "Pulling"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ImageView:
    """`retry_at`, `reason` and `message` tell of a failure; reasons are ErrImagePull, ImagePullBackOff, ..."""

    state: ImageViewState
    reason: str = ""
    message: str = ""
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProbeView:
    """What the probes of one running container say. Without a probe: started, alive, ready."""

    started: bool = True
    alive: bool = True
    ready: bool = True
    message: str = ""
    grace_s: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A step that failed, and when to try it again."""

    reason: str
    message: str
    retry_at: datetime


@dataclass(frozen=True, slots=True)
class PodMemory:
    """What is known only while this process runs; losing it costs time, never correctness."""

    volumes_ready: bool = False
    preparing: bool = False
    """Volumes are being made; that can take as long as pulling an image."""
    torn_down: bool = False
    networks: str | None = ""
    """What the annotations asked for when the sandbox was last made to have it; None when that has to be looked at."""
    images: Mapping[str, ImageView] = field(default_factory=dict)
    probes: Mapping[str, ProbeView] = field(default_factory=dict)
    stopping: Mapping[str, int] = field(default_factory=dict)
    """Containers being stopped, by id, with the grace that they were given."""
    stopped_sandboxes: frozenset[str] = frozenset()
    """Sandboxes that have been stopped to the end: their network is given back."""
    problems: Mapping[str, Problem] = field(default_factory=dict)
    """By container name; `""` is the pod itself (volumes, sandbox)."""
    termination_messages: Mapping[str, str] = field(default_factory=dict)
    """By container id."""
    rejected: Problem | None = None
    """The node cannot run this pod, ever."""
    final_grace_s: int | None = None
    """The grace of a pod whose object is gone, as its last version had it."""


EMPTY_MEMORY = PodMemory()


@dataclass(frozen=True, slots=True)
class PodObserved:
    """One pod as the API (None: it is gone there) and the runtime know it. Newest sandbox and attempt first."""

    uid: str
    pod: Pod | None
    sandboxes: tuple[SandboxInfo, ...]
    containers: tuple[ContainerInfo, ...]
    now: datetime
    memory: PodMemory = EMPTY_MEMORY
    host_ip: str = ""

    def latest(self, name: str) -> ContainerInfo | None:
        """The container's newest attempt, in any sandbox."""
        return next((container for container in self.containers if container.name == name), None)

    def previous(self, name: str) -> ContainerInfo | None:
        """The attempt before the newest."""
        attempts = [container for container in self.containers if container.name == name]
        return attempts[1] if len(attempts) > 1 else None


@dataclass(frozen=True, slots=True)
class PrepareVolumes:
    """Make the pod's directories and mount its volumes; in the background."""


@dataclass(frozen=True, slots=True)
class RunSandbox:
    """Create the pod's sandbox with its network."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AttachNetworks:
    """Make the sandbox have the networks of the pod's annotations, no more and no less."""

    sandbox_id: str


@dataclass(frozen=True, slots=True)
class PullImage:
    """Make a container's image present, by its pull policy."""

    container: Container


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Create and start one attempt of a container."""

    container: Container
    sandbox: SandboxInfo
    attempt: int
    backoff_s: int


@dataclass(frozen=True, slots=True)
class KillContainer:
    """Run its preStop hook and stop it, within `grace_s`; in the background."""

    container_id: str
    name: str
    grace_s: int
    message: str


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Forget an ended container and its log."""

    container_id: str


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Stop what is left in it and give back its network."""

    sandbox_id: str


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """Forget it and all its containers."""

    sandbox_id: str


@dataclass(frozen=True, slots=True)
class TearDownVolumes:
    """Stop preparing, unmount the pod's volumes and remove its directory and cgroups."""


@dataclass(frozen=True, slots=True)
class FinishDeletion:
    """Tell the API that the pod has ended, so that it forgets the object."""


@dataclass(frozen=True, slots=True)
class ForgetPod:
    """Nothing is left; remove its logs and stop working on it."""


PodAction: TypeAlias = (
    PrepareVolumes
    | RunSandbox
    | AttachNetworks
    | PullImage
    | StartContainer
    | KillContainer
    | RemoveContainer
    | StopSandbox
    | RemoveSandbox
    | TearDownVolumes
    | FinishDeletion
    | ForgetPod
)


@dataclass(frozen=True, slots=True)
class PodPlan:
    """Actions in order; then the status is written; then, after `requeue_after`, the pod is looked at again."""

    actions: tuple[PodAction, ...]
    status: PodStatus | None
    events: tuple[Event, ...] = ()
    requeue_after: timedelta | None = None


def is_sidecar(container: Container) -> bool:
    """An init container that keeps running beside the others."""
    return container.restart_policy == "Always"


def all_containers(pod: Pod) -> list[Container]:
    """Init containers first, in their order; debugging ones last."""
    return [*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers]


def all_container_statuses(pod: Pod) -> list[ContainerStatus]:
    """What is told of them, in the same order."""
    status = pod.status
    return [*status.init_container_statuses, *status.container_statuses, *status.ephemeral_container_statuses]
