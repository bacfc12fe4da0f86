"""Composition of the launcher: arguments, log, libvirt, service, socket, signals, exit status.

The exit status speaks to PID 1 (`virt-launcher-monitor`): ENDED_CLEANLY and ENDED_BY_CRASH end the container, any
other means that this process broke and must be started again.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, ValidationError, convert

from kobune.host.libvirt.connection import open_connection
from kobune.host.libvirt.types import ClosedCallback, EventCallback, Hypervisor
from kobune.host.run import HostRunner
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.seriallog import bound_serial_log
from kobune.virt.launcher.service import LauncherService
from kobune.virt.launcherproto.framing import SOCKET_NAME
from kobune.virt.launcherproto.messages import PROTOCOL_VERSION, Hello
from kobune.virt.launcherproto.server import LauncherServer

__all__ = ["ENDED_BY_CRASH", "ENDED_CLEANLY", "Options", "main", "read_options", "run"]

ENDED_CLEANLY = 64
ENDED_BY_CRASH = 65
FAREWELL_S = 2.0

log = logging.getLogger(__name__)


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The command line: whose launcher this is, and how long its guest may take to power off at SIGTERM.

    `stop`: SIGTERM came while no launcher process was there.
    """

    uid: str
    namespace: str
    name: str
    grace_period_s: float = 180.0
    stop: bool = False
    verbose: bool = False


def read_options(arguments: Sequence[str]) -> Options:
    """`--name VALUE` pairs and flags, as virt-controller renders them. Ends the process when they are not that.

    Not argparse: half a megabyte that every launcher would carry for as long as its guest runs.
    """
    flags = {"--stop", "--verbose"}
    given: dict[str, object] = {}
    rest = iter(arguments)
    for word in rest:
        value: object = True if word in flags else next(rest, None)
        given[word.removeprefix("--").replace("-", "_")] = value
    try:
        return convert(given, Options, strict=False)
    except ValidationError as error:
        raise SystemExit(f"virt-launcher: {' '.join(arguments)}: {error}") from None


def main() -> int:
    """Run the launcher to its end; the exit status."""
    options = read_options(sys.argv[1:])
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
