"""Verbs on a running instance: state checks here, the deed by virt-handler."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from kobune.api.kubevirt import AddVolumeOptions, RemoveVolumeOptions, VirtualMachineInstance
from kobune.virt.admission.subresources.failure import Failure, bad_request, conflict
from kobune.virt.admission.subresources.handler_client import HandlerClient
from kobune.virt.admission.subresources.power import decode_options
from kobune.virt.admission.subresources.streams import SUBPROTOCOL, join_tcp, join_websockets

__all__ = ["InstanceVerbs"]

_KIND: Final = "virtualmachineinstance"
DIAL_TIMEOUT_S: Final = 10.0
MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024

InstanceVerb = Callable[[web.Request, VirtualMachineInstance, str], Awaitable[web.StreamResponse]]


class InstanceVerbs:
    """One coroutine per verb; `rest` is what follows the verb in the path."""

    def __init__(self, handlers: HandlerClient) -> None:
        self._handlers = handlers
        self.verbs: dict[str, InstanceVerb] = {
            "console": self._console,
            "vnc": self._vnc,
            "portforward": self.port_forward,
            "usbredir": self._usb_redirection,
            "guestosinfo": self._question,
            "userlist": self._question,
            "filesystemlist": self._question,
            "pause": self._command,
            "unpause": self._command,
            "softreboot": self._command,
            "reset": self._command,
            "freeze": self._command,
            "unfreeze": self._command,
            "addvolume": self._add_volume,
            "removevolume": self._remove_volume,
        }

    async def _command(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        verb = request.match_info["verb"]
        name = vmi.metadata.name
        if vmi.status.phase != "Running":
            raise conflict(_KIND, name, "VM is not running")
        paused = _condition(vmi, "Paused")
        if verb == "pause":
            if vmi.spec.liveness_probe is not None:
                raise Failure(403, "Forbidden", "Pausing VMIs with LivenessProbe is currently not supported")
            if paused:
                raise conflict(_KIND, name, "VMI is already paused")
        elif verb == "unpause" and not paused:
            raise conflict(_KIND, name, "VMI is not paused")
        elif verb == "softreboot" and paused:
            raise conflict(_KIND, name, "VMI is paused")
        body = await request.read()
        if "All" in _dry_run(body):
            return web.Response(status=202)
        await self._handlers.call("PUT", vmi, verb, _freeze_body(body) if verb == "freeze" else b"")
        return web.Response(status=202)

    async def _question(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vmi.metadata.name, "VMI is not running")
        answer = await self._handlers.call("GET", vmi, request.match_info["verb"])
        return web.Response(body=answer, content_type="application/json")

    async def _console(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        _must_run(vmi)
        if vmi.spec.domain.devices.autoattach_serial_console is False:
            raise bad_request("No serial consoles are present.")
        return await self._stream(request, vmi, "console")

    async def _vnc(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        _must_run(vmi)
        if rest not in ("", "screenshot"):
            raise Failure(404, "NotFound", f"there is no subresource vnc/{rest}")
        if vmi.spec.domain.devices.autoattach_graphics_device is False:
            raise bad_request("No graphics devices are present.")
        if rest == "screenshot":
            picture = await self._handlers.call("GET", vmi, "vnc/screenshot")
            return web.Response(body=picture, content_type="image/png")
        return await self._stream(request, vmi, "vnc")

    async def _stream(self, request: web.Request, vmi: VirtualMachineInstance, verb: str) -> web.StreamResponse:
        """The guest's end first: a failure there can still be told with a status."""
        if not _asks_for_websocket(request):
            raise bad_request(f"{verb} needs a websocket with the subprotocol {SUBPROTOCOL}")
        guest = await self._handlers.stream(vmi, verb)
        client = _websocket()
        try:
            await client.prepare(request)
        except BaseException:
            await guest.close()
            raise
        await join_websockets(client, guest)
        return client

    async def port_forward(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        """`rest` is PORT or PORT/tcp."""
        _must_run(vmi)
        match = re.fullmatch(r"(\d{1,5})(?:/(tcp|udp))?", rest)
        if match is None or not 0 < int(match[1]) < 65536:
            raise bad_request(f"no port in {rest!r}: use portforward/PORT or portforward/PORT/tcp")
        if match[2] == "udp":
            raise conflict(_KIND, vmi.metadata.name, "UDP is not forwarded yet")
        addresses = [item.ip_address for item in vmi.status.interfaces if item.ip_address]
        if not addresses:
            raise bad_request(f"No network interfaces are reported by {vmi.metadata.name}")
        if not _asks_for_websocket(request):
            raise bad_request(f"portforward needs a websocket with the subprotocol {SUBPROTOCOL}")
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(addresses[0], int(match[1]))
        except (OSError, TimeoutError) as error:
            message = f"{addresses[0]} port {match[1]} does not answer: {error or 'timeout'}"
            raise Failure(503, "ServiceUnavailable", message) from error
        client = _websocket()
        try:
            await client.prepare(request)
        except BaseException:
            writer.close()
            raise
        await join_tcp(client, reader, writer)
        return client

    async def _usb_redirection(
        self, request: web.Request, vmi: VirtualMachineInstance, rest: str
    ) -> web.StreamResponse:
        raise conflict(_KIND, vmi.metadata.name, "Not configured with USB Redirection")

    async def _add_volume(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        check_add_volume(await request.read())
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vmi.metadata.name, "VMI is not running")
        raise conflict(_KIND, vmi.metadata.name, "volumes cannot be plugged into a running guest yet")

    async def _remove_volume(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        check_remove_volume(await request.read())
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vmi.metadata.name, "VMI is not running")
        raise conflict(_KIND, vmi.metadata.name, "volumes cannot be unplugged from a running guest yet")


def check_add_volume(body: bytes) -> dict[str, Any]:
    """The options as decoded JSON; raises Failure naming what is missing."""
    raw: dict[str, Any] = decode_options(body, dict)
    if not raw.get("name"):
        raise bad_request("AddVolumeOptions requires name to be set")
    if raw.get("disk") is None:
        raise bad_request("AddVolumeOptions requires disk to not be nil")
    if raw.get("volumeSource") is None:
        raise bad_request("AddVolumeOptions requires VolumeSource to not be nil")
    decode_options(body, AddVolumeOptions)
    return raw


def check_remove_volume(body: bytes) -> str:
    """The volume's name; raises Failure when there is none."""
    raw: dict[str, Any] = decode_options(body, dict)
    if not raw.get("name"):
        raise bad_request("RemoveVolumeOptions requires name to be set")
    options: RemoveVolumeOptions = decode_options(body, RemoveVolumeOptions)
    return options.name


def _must_run(vmi: VirtualMachineInstance) -> None:
    if vmi.status.phase != "Running":
        raise bad_request("VMI is not running")


def _condition(vmi: VirtualMachineInstance, kind: str) -> bool:
    return any(item.type == kind and item.status == "True" for item in vmi.status.conditions)


def _dry_run(body: bytes) -> list[str]:
    raw = decode_options(body, dict)
    return raw.get("dryRun") or []


def _freeze_body(body: bytes) -> bytes:
    """The timeout in nanoseconds; users give a Go duration such as 5m."""
    raw = decode_options(body, dict)
    value = raw.get("unfreezeTimeout", 0)
    if isinstance(value, str):
        seconds = 0.0
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
        if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s|us|ns))*", value):
            raise bad_request(f"unfreezeTimeout {value!r} is no duration: use 5m or 300s")
        for number, _, unit in re.findall(r"(\d+(\.\d+)?)(h|ms|m|s|us|ns)", value):
            seconds += float(number) * units[unit]
        value = int(seconds * 1e9)
    return json.dumps({"unfreezeTimeout": value}).encode()


def _websocket() -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), max_msg_size=MESSAGE_LIMIT_BYTES, heartbeat=30.0, compress=False
    )


def _asks_for_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def encode(document: Any) -> bytes:
    """JSON of any API object."""
    return msgspec.json.encode(document)
