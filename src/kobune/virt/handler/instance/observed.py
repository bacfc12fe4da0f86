"""What a decision about one instance is made of: plain data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.domain.readiness import NOT_KNOWN, Readiness
from kobune.virt.handler.hotplug.dump import Dump
from kobune.virt.handler.hotplug.plan import NOTHING, PlugView
from kobune.virt.launcherproto.messages import DomainState

__all__ = ["AttachedNetwork", "LauncherPod", "LauncherView", "Observed", "Setback"]


LONGEST_PAUSE: Final = timedelta(seconds=60)
"""More than the longest pause after a setback."""


@dataclass(frozen=True, slots=True)
class AttachedNetwork:
    """One network that the pod's node says the pod is attached to: the pod's interface and the addresses it got.

    `pci` is the address of the node's device, where the network gave one.
    """

    interface: str
    ips: tuple[str, ...] = ()
    pci: str = ""


@dataclass(frozen=True, slots=True)
class LauncherPod:
    """The launcher's pod. `ips` has the primary address first; `exit_code` is set once `compute` has ended.
    `image` is `compute`'s.

    `finished` means that its containers have ended for good, however that came about. `ready` is what the Ready
    condition says of a guest that runs in it.
    """

    uid: str
    name: str
    ips: tuple[str, ...] = ()
    finished: bool = False
    exit_code: int | None = None
    message: str = ""
    image: str = ""
    attached: tuple[AttachedNetwork, ...] = ()
    """By its network-status; empty where nobody attaches networks beside the pod network."""
    ready: Readiness = NOT_KNOWN


@dataclass(frozen=True, slots=True)
class Setback:
    """The last attempt to start the guest failed; `terminal` ones are not repeated, others not before `again_at`."""

    message: str
    terminal: bool
    again_at: datetime

    def left(self, now: datetime) -> timedelta:
        """How long to wait; zero when it is time, and when a clock that was set back would have us wait for ever."""
        left = self.again_at - now
        return left if timedelta() < left <= LONGEST_PAUSE else timedelta()


@dataclass(frozen=True, slots=True)
class LauncherView:
    """The line to the launcher at this moment.

    `state` is the newest that was told, None before the first; `busy` while a start is under way; `network_ready` once
    this process has seen the pod's network complete; `shutdown_grace_s` what this process last asked for and
    `shutdown_told` whether people were told that this takes time;
    `capacities` are the claims' sizes that it told the launcher last, None when it has told none.
    """

    state: DomainState | None = None
    connected: bool = False
    busy: bool = False
    network_ready: bool = False
    shutdown_grace_s: float | None = None
    shutdown_told: bool = False
    setback: Setback | None = None
    capacities: Mapping[str, str] | None = None
    pruned: frozenset[str] = frozenset()
    """Unplugged interfaces of which nothing is left in the pod."""
    dumps: Mapping[str, Dump] = field(default_factory=dict)
    """Dumps of the guest's memory that this process has had made, by volume."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything. `pod` is None only when the API has none; `launcher` is None before `Follow`.

    `volumes` is None while nobody can look into the launcher's container: then nothing is decided about them.
    """

    now: datetime
    node: str
    vmi: VirtualMachineInstance
    pod: LauncherPod | None
    launcher: LauncherView | None
    volumes: PlugView | None = NOTHING
