"""What libvirt's states mean, as a table; and what the live XML tells."""

import pytest

from kobune.host.libvirt.types import DomainInfo, PausedReason, ShutoffReason, State
from kobune.virt.launcher.journal import Journal
from kobune.virt.launcher.observation import Standing, read_live_domain, standing
from kobune.virt.launcherproto.messages import DomainStatus, ExitInfo, InterfaceState, PauseReason

NEVER = Journal()
STARTED = Journal(started_at="2026-01-01T00:00:00Z")
ASKED = Journal(started_at="2026-01-01T00:00:00Z", shutdown_deadline_s=5.0)
KILLED = Journal(started_at="2026-01-01T00:00:00Z", shutdown_deadline_s=0.0, killed=True)


def domain(state: State, reason: int = 0) -> DomainInfo:
    return DomainInfo("default_vm", "u", state, reason, "<domain/>")


def ended(**exit_: object) -> Standing:
    return Standing(DomainStatus.ENDED, exit=ExitInfo(**exit_))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "info", "journal", "expected"),
    [
        ("nothing was asked for; nothing is there", None, NEVER, Standing(DomainStatus.NONE)),
        ("defined but not started; nothing is there", domain(State.SHUTOFF), NEVER, Standing(DomainStatus.NONE)),
        (
            "a shutdown came before the start; it has ended",
            None,
            Journal(shutdown_deadline_s=1.0),
            ended(crashed=False),
        ),
        ("it runs; running", domain(State.RUNNING, 1), STARTED, Standing(DomainStatus.RUNNING)),
        ("it runs and was asked to stop; shutting down", domain(State.RUNNING, 1), ASKED, None),
        (
            "paused by its user",
            domain(State.PAUSED, PausedReason.USER),
            STARTED,
            Standing(DomainStatus.PAUSED, pause_reason=PauseReason.USER),
        ),
        (
            "QEMU is there but its start is not complete; starting",
            domain(State.PAUSED, PausedReason.STARTING_UP),
            NEVER,
            Standing(DomainStatus.STARTING),
        ),
        (
            "paused by an I/O error",
            domain(State.PAUSED, PausedReason.IO_ERROR),
            STARTED,
            Standing(DomainStatus.PAUSED, pause_reason=PauseReason.IO_ERROR),
        ),
        (
            "paused for a reason of a newer libvirt; other",
            domain(State.PAUSED, 99),
            STARTED,
            Standing(DomainStatus.PAUSED, pause_reason=PauseReason.OTHER),
        ),
        (
            "the guest powered off by itself",
            domain(State.SHUTOFF, ShutoffReason.SHUTDOWN),
            STARTED,
            ended(crashed=False, by_guest=True),
        ),
        (
            "the guest powered off because it was asked to",
            domain(State.SHUTOFF, ShutoffReason.SHUTDOWN),
            ASKED,
            ended(crashed=False),
        ),
        (
            "destroyed on request",
            domain(State.SHUTOFF, ShutoffReason.DESTROYED),
            KILLED,
            ended(crashed=False, killed=True),
        ),
        (
            "destroyed by its reboot policy",
            domain(State.SHUTOFF, ShutoffReason.DESTROYED),
            STARTED,
            ended(crashed=False, by_guest=True),
        ),
        (
            "QEMU died",
            domain(State.SHUTOFF, ShutoffReason.CRASHED),
            STARTED,
            ended(crashed=True, message="QEMU ended unexpectedly: disk on fire"),
        ),
        (
            "QEMU died while it was asked to stop; that is what was wanted",
            domain(State.SHUTOFF, ShutoffReason.CRASHED),
            ASKED,
            ended(crashed=False),
        ),
        (
            "off for a reason that libvirt forgot",
            domain(State.SHUTOFF, ShutoffReason.DAEMON),
            STARTED,
            ended(crashed=True, message="the domain ended while nobody watched: disk on fire"),
        ),
        (
            "gone from libvirt",
            None,
            STARTED,
            ended(crashed=True, message="the domain vanished from libvirt: disk on fire"),
        ),
        (
            "the guest panicked and is kept",
            domain(State.CRASHED),
            STARTED,
            ended(crashed=True, message="the guest crashed: disk on fire"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_standing(name: str, info: DomainInfo | None, journal: Journal, expected: Standing | None) -> None:
    expected = expected or Standing(DomainStatus.SHUTTING_DOWN)
    assert standing(info, journal, crash_message="disk on fire") == expected


LIVE = """
<domain type='kvm' id='1'>
  <memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>524288</currentMemory>
  <vcpu placement='static' current='4'>8</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='host-model'><topology sockets='4' dies='1' cores='2' threads='1'/></cpu>
  <devices>
    <interface type='ethernet'>
      <mac address='02:00:00:00:00:01'/><driver queues='4'/><link state='down'/><alias name='ua-default'/>
    </interface>
    <interface type='ethernet'><mac address='02:00:00:00:00:02'/><alias name='ua-second'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
  </devices>
</domain>
"""


def test_the_live_xml_tells_what_a_new_process_must_know() -> None:
    live = read_live_domain(LIVE)
    assert (live.kvm, live.machine, live.memory_bytes) == (True, "pc-q35-7.2", 512 * 1024**2)
    assert (live.sockets, live.cores, live.threads) == (2, 2, 1)
    assert live.agent_connected
    assert live.interfaces == (
        InterfaceState(name="default", mac="02:00:00:00:00:01", queues=4, link_up=False, from_domain=True),
        InterfaceState(name="second", mac="02:00:00:00:00:02", queues=1, link_up=True, from_domain=True),
    )
