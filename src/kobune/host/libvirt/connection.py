"""The real connection, on libvirt-python.

libvirt's calls block, so that they run in a small pool of threads; its events arrive in one more thread that runs
libvirt's own event loop, and are handed to asyncio's. Owns both kinds of threads and the translation of errors.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kobune.host.libvirt.eventloop import run_event_loop
from kobune.host.libvirt.translation import translated, version_text
from kobune.host.libvirt.types import (
    ClosedCallback,
    DomainEvent,
    DomainInfo,
    DomainNotFound,
    EventCallback,
    EventKind,
    LibvirtRefused,
    LibvirtUnavailable,
    State,
)

__all__ = ["CALL_TIMEOUT_S", "LibvirtConnection", "open_connection"]

CALL_TIMEOUT_S = 30.0
DUMP_TIMEOUT_S = 880.0
"""A guest's whole memory goes to a disk."""
MAX_SCREENSHOT_BYTES = 2 * 1024 * 1024
POOL_THREADS = 3
"""One for what a user waits for, one for the agent, which may hang for its time limit, and one to spare."""

log = logging.getLogger(__name__)

T = TypeVar("T")


async def open_connection(
    uri: str, *, on_event: EventCallback, on_closed: ClosedCallback, timeout_s: float = 10.0
) -> "LibvirtConnection":
    """Connect to the daemon at `uri` and subscribe to the events of all its domains.

    Both callbacks run in the event loop. Raises LibvirtUnavailable when nothing answers within the time limit.
    """
    run_event_loop()
    connection = LibvirtConnection(asyncio.get_running_loop(), on_event, on_closed)
    try:
        await connection._open(uri, timeout_s)
    except BaseException:
        await connection.close()
        raise
    return connection


class LibvirtConnection:
    """A `Hypervisor`; made by `open_connection`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_event: EventCallback, on_closed: ClosedCallback) -> None:
        self._loop = loop
        self._on_event = on_event
        self._on_closed = on_closed
        self._pool = ThreadPoolExecutor(POOL_THREADS, thread_name_prefix="libvirt")
        self._connection: Any = None
        self._callbacks: list[int] = []
        self._closed = False

    async def _open(self, uri: str, timeout_s: float) -> None:
        def connect() -> Any:
            import libvirt

            connection = libvirt.open(uri)
            connection.registerCloseCallback(self._connection_closed, None)
            kinds: list[tuple[int, Callable[..., None]]] = [
                (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
                (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._reboot),
                (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON, self._io_error),
                (libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, self._agent),
                (libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, self._watchdog),
                (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, self._device),
                (libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, self._device),
            ]
            for kind, callback in kinds:
                self._callbacks.append(connection.domainEventRegisterAny(None, kind, callback, None))
            return connection

        self._connection = await self._call("connect", lambda _: connect(), timeout_s)

    # --- Hypervisor ---

    async def versions(self) -> tuple[str, str]:
        """See types.Hypervisor."""

        def ask(connection: Any) -> tuple[str, str]:
            return version_text(connection.getLibVersion()), version_text(connection.getVersion())

        return await self._call("versions", ask)

    async def lookup(self, name: str) -> DomainInfo | None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> DomainInfo:
            domain = connection.lookupByName(name)
            state, reason = domain.state()
            return DomainInfo(name, domain.UUIDString(), State(state), reason, domain.XMLDesc(0))

        try:
            return await self._call("lookup", ask)
        except DomainNotFound:
            return None

    async def define(self, xml: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

        await self._call("define", ask)

    async def start(self, name: str, *, paused: bool = False) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)

        await self._call("start", ask, 90.0)

    async def undefine(self, name: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).undefineFlags(
                libvirt.VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | libvirt.VIR_DOMAIN_UNDEFINE_KEEP_TPM
            )

        await self._call("undefine", ask)

    async def destroy(self, name: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            domain = connection.lookupByName(name)
            if domain.isActive():
                domain.destroy()

        try:
            await self._call("destroy", ask)
        except DomainNotFound:
            raise
        except LibvirtRefused:
            # It may have ended between the question and the call.
            info = await self.lookup(name)
            if info is not None and info.active:
                raise

    async def shutdown(self, name: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

        await self._call("shutdown", ask)

    async def reboot(self, name: str, *, by_agent: bool) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            flag = libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT if by_agent else libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
            connection.lookupByName(name).reboot(flag)

        await self._call("reboot", ask)

    async def reset(self, name: str) -> None:
        """See types.Hypervisor."""
        await self._call("reset", lambda connection: connection.lookupByName(name).reset())

    async def suspend(self, name: str) -> None:
        """See types.Hypervisor."""
        await self._call("suspend", lambda connection: connection.lookupByName(name).suspend())

    async def resume(self, name: str) -> None:
        """See types.Hypervisor."""
        await self._call("resume", lambda connection: connection.lookupByName(name).resume())

    async def attach_device(self, name: str, xml: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

        await self._call("attach device", ask)

    async def update_device(self, name: str, xml: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).updateDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

        await self._call("update device", ask)

    async def detach_device(self, name: str, alias: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).detachDeviceAlias(alias, libvirt.VIR_DOMAIN_AFFECT_LIVE)

        await self._call("detach device", ask)

    async def add_io_thread(self, name: str, number: int) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            connection.lookupByName(name).addIOThread(number, libvirt.VIR_DOMAIN_AFFECT_LIVE)

        await self._call("add I/O thread", ask)

    async def disk_bytes(self, name: str, target: str) -> int:
        """See types.Hypervisor."""
        return await self._call("disk size", lambda connection: int(connection.lookupByName(name).blockInfo(target)[0]))

    async def resize_disk(self, name: str, target: str, size_bytes: int) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            flag = libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES
            connection.lookupByName(name).blockResize(target, size_bytes, flag)

        await self._call("resize disk", ask)

    async def dump_memory(self, name: str, path: str) -> None:
        """See types.Hypervisor."""

        def ask(connection: Any) -> None:
            import libvirt

            domain = connection.lookupByName(name)
            raw = libvirt.VIR_DOMAIN_CORE_DUMP_FORMAT_RAW
            domain.coreDumpWithFormat(path, raw, libvirt.VIR_DUMP_MEMORY_ONLY)

        await self._call("dump memory", ask, DUMP_TIMEOUT_S)

    async def screenshot(self, name: str) -> bytes:
        """See types.Hypervisor."""

        def ask(connection: Any) -> bytes:
            stream = connection.newStream(0)
            parts: list[bytes] = []
            size = 0
            try:
                kind = connection.lookupByName(name).screenshot(stream, 0, 0)
                if kind != "image/png":
                    raise LibvirtRefused(f"screenshot: the picture is {kind}, not PNG; QEMU is too old")
                while data := stream.recv(256 * 1024):
                    parts.append(data)
                    size += len(data)
                    if size > MAX_SCREENSHOT_BYTES:
                        raise LibvirtRefused(f"screenshot: the picture is over {MAX_SCREENSHOT_BYTES} bytes")
                stream.finish()
            except BaseException:
                stream.abort()
                raise
            return b"".join(parts)

        return await self._call("screenshot", ask)

    async def agent_command(self, name: str, command: str, *, timeout_s: int) -> str:
        """See types.Hypervisor."""

        def ask(connection: Any) -> str:
            import libvirt_qemu

            answer: str = libvirt_qemu.qemuAgentCommand(connection.lookupByName(name), command, timeout_s, 0)
            return answer

        return await self._call("agent command", ask, timeout_s + 5.0)

    async def close(self) -> None:
        """See types.Hypervisor."""
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:

            def disconnect() -> None:
                import libvirt

                for callback in self._callbacks:
                    with contextlib.suppress(libvirt.libvirtError):
                        connection.domainEventDeregisterAny(callback)
                with contextlib.suppress(libvirt.libvirtError):
                    connection.unregisterCloseCallback()
                with contextlib.suppress(libvirt.libvirtError):
                    connection.close()

            # A daemon that hangs must not hold us up: the thread is left to its own.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0):
                    await self._loop.run_in_executor(self._pool, disconnect)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- how a call is made ---

    async def _call(self, what: str, function: Callable[[Any], T], timeout_s: float = CALL_TIMEOUT_S) -> T:
        if self._closed:
            raise LibvirtUnavailable("the connection to libvirt is closed")

        def guarded() -> T:
            import libvirt

            try:
                return function(self._connection)
            except libvirt.libvirtError as error:
                raise translated(what, error) from error
            except UnicodeDecodeError as error:  # a guest's words, which the binding takes for UTF-8
                raise LibvirtRefused(f"{what}: the answer is not text") from error

        try:
            async with asyncio.timeout(timeout_s):
                return await self._loop.run_in_executor(self._pool, guarded)
        except TimeoutError as error:
            raise LibvirtUnavailable(f"{what}: libvirt did not answer within {timeout_s:g} s") from error

    # --- libvirt's callbacks, in its event thread ---

    def _post(self, event: DomainEvent) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is about to end
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: DomainEvent) -> None:
        if not self._closed:
            self._on_event(event)

    def _connection_closed(self, _connection: Any, _reason: int, _opaque: object) -> None:
        def tell() -> None:
            if not self._closed:
                self._closed = True
                self._on_closed()

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(tell)

    def _lifecycle(self, _connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        self._post(DomainEvent(EventKind.LIFECYCLE, domain.name(), f"{event}/{detail}"))

    def _reboot(self, _connection: Any, domain: Any, _opaque: object) -> None:
        self._post(DomainEvent(EventKind.REBOOT, domain.name()))

    def _io_error(
        self, _c: Any, domain: Any, source: str, alias: str, _action: int, reason: str, _opaque: object
    ) -> None:
        detail = f"{alias.removeprefix('ua-')}: {reason or 'input/output error'} ({source})"
        self._post(DomainEvent(EventKind.IO_ERROR, domain.name(), detail))

    def _agent(self, _connection: Any, domain: Any, state: int, _reason: int, _opaque: object) -> None:
        self._post(DomainEvent(EventKind.AGENT, domain.name(), "connected" if state == 1 else "disconnected"))

    def _watchdog(self, _connection: Any, domain: Any, action: int, _opaque: object) -> None:
        self._post(DomainEvent(EventKind.WATCHDOG, domain.name(), str(action)))

    def _device(self, _connection: Any, domain: Any, alias: str, _opaque: object) -> None:
        self._post(DomainEvent(EventKind.DEVICE, domain.name(), alias))
