"""What one pod's worker remembers between passes; `frozen` gives it to the decision."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kobune.embedded.kubelet.model import ImageView, PodMemory, Problem
from kobune.embedded.kubelet.probes import ContainerProbes
from kobune.embedded.kubelet.render import MountedVolume

__all__ = ["Memory"]

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 120.0
FIRST_IMAGE_RETRY_S = 10.0
LAST_IMAGE_RETRY_S = 300.0


@dataclass(slots=True)
class Memory:
    """Lost when the kubelet ends; everything in it is found again."""

    volumes_ready: bool = False
    preparing: bool = False
    torn_down: bool = False
    networks: str | None = ""
    primary_ips: tuple[str, ...] = ()
    volumes: dict[str, MountedVolume] = field(default_factory=dict)
    images: dict[str, ImageView] = field(default_factory=dict)
    stopping: dict[str, int] = field(default_factory=dict)
    stopped_sandboxes: set[str] = field(default_factory=set)
    problems: dict[str, Problem] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    probes: dict[str, ContainerProbes] = field(default_factory=dict)
    rejected: Problem | None = None
    final_grace_s: int | None = None
    _failures: dict[str, int] = field(default_factory=dict)

    def failed(self, name: str, reason: str, message: str, now: datetime) -> None:
        """A step of the pod (`""`) or of a container failed: try it again later, each time twice as late."""
        count = self._failures[name] = self._failures.get(name, 0) + 1
        delay_s = min(FIRST_RETRY_S * 2.0 ** min(count - 1, 16), LAST_RETRY_S)
        self.problems[name] = Problem(reason, message, now + timedelta(seconds=delay_s))

    def back_off(self, what: str) -> float:
        """Count a failure of something that is tried rarely, such as a pull; seconds until the next attempt."""
        count = self._failures[what] = self._failures.get(what, 0) + 1
        return min(FIRST_IMAGE_RETRY_S * 2.0 ** min(count - 1, 16), LAST_IMAGE_RETRY_S)

    def failures(self, what: str) -> int:
        """How often it failed in a row."""
        return self._failures.get(what, 0)

    def solved(self, name: str) -> None:
        """It worked."""
        self.problems.pop(name, None)
        self._failures.pop(name, None)

    def frozen(self) -> PodMemory:
        """A copy for the decision."""
        return PodMemory(
            volumes_ready=self.volumes_ready,
            preparing=self.preparing,
            torn_down=self.torn_down,
            networks=self.networks,
            images=dict(self.images),
            probes={name: probes.view for name, probes in self.probes.items()},
            stopping=dict(self.stopping),
            stopped_sandboxes=frozenset(self.stopped_sandboxes),
            problems=dict(self.problems),
            termination_messages=dict(self.messages),
            rejected=self.rejected,
            final_grace_s=self.final_grace_s,
        )
