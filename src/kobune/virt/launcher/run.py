"""Composition of the launcher: arguments, log, libvirt, service, socket, signals, exit status.

The exit status speaks to PID 1 (`virt-launcher-monitor`): ENDED_CLEANLY and ENDED_BY_CRASH end the container, any
other means that this process broke and must be started again.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from kobune.host.libvirt.connection import open_connection
from kobune.host.libvirt.types import ClosedCallback, EventCallback, Hypervisor
from kobune.host.run import HostRunner
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.seriallog import bound_serial_log
from kobune.virt.launcher.service import LauncherService
from kobune.virt.launcherproto.framing import SOCKET_NAME
from kobune.virt.launcherproto.messages import PROTOCOL_VERSION, Hello
from kobune.virt.launcherproto.server import LauncherServer

__all__ = ["ENDED_BY_CRASH", "ENDED_CLEANLY", "main", "run"]

ENDED_CLEANLY = 64
ENDED_BY_CRASH = 65
FAREWELL_S = 2.0

log = logging.getLogger(__name__)


def main() -> int:
    """Run the launcher to its end; the exit status."""
    parser = argparse.ArgumentParser(prog="virt-launcher", allow_abbrev=False)
    parser.add_argument("--uid", required=True, help="the VirtualMachineInstance's uid")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--grace-period-s", type=float, default=180.0, help="time for the guest to power off at SIGTERM"
    )
    parser.add_argument("--stop", action="store_true", help="SIGTERM came while no launcher process was there")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    hello = Hello(
        protocol=PROTOCOL_VERSION,
        uid=options.uid,
        namespace=options.namespace,
        name=options.name,
        version=os.environ.get("KOBUNE_VERSION", ""),
    )
    return asyncio.run(run(hello, Places(), grace_s=options.grace_period_s, stop=options.stop))


async def run(hello: Hello, places: Places, *, grace_s: float, stop: bool = False) -> int:
    """Serve until the domain has ended; the exit status."""
    uri = f"qemu+unix:///session?socket={os.environ['XDG_RUNTIME_DIR']}/libvirt/libvirt-sock"

    async def connect(on_event: EventCallback, on_closed: ClosedCallback) -> Hypervisor:
        return await open_connection(uri, on_event=on_event, on_closed=on_closed)

    service = LauncherService(hello, places, HostRunner(), connect)
    server = LauncherServer(service, hello)
    await server.listen(places.sockets / SOCKET_NAME)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.request_shutdown, grace_s)
    if stop:
        service.request_shutdown(grace_s)
    bounding = asyncio.create_task(bound_serial_log(places.serial_log))
    try:
        await service.run()
    finally:
        bounding.cancel()
    end = service.state.exit
    assert end is not None
    log.info("ended: %s", end)
    await server.flush(FAREWELL_S)
    await server.close()
    if end.crashed:
        _say_last_word(places.termination_log, end.message)
    return ENDED_BY_CRASH if end.crashed else ENDED_CLEANLY


def _say_last_word(path: Path, message: str) -> None:
    """The container's termination message; where there is no such file, the log's last line serves."""
    log.error("%s", message)
    with contextlib.suppress(OSError):
        path.write_text(message)
