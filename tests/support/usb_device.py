"""A USB device at the client's end of a usbredir connection, with just what a guest needs to list it.

Source: the usbredir protocol 0.7 (packet types, layouts) and chapter 9 of USB 2.0 (descriptors).
"""

import asyncio
import struct
from typing import Final

import aiohttp

__all__ = ["UsbDevice"]

HELLO: Final = 0
DEVICE_CONNECT: Final = 1
INTERFACE_INFO: Final = 4
EP_INFO: Final = 5
SET_CONFIGURATION: Final = 6
GET_CONFIGURATION: Final = 7
CONFIGURATION_STATUS: Final = 8
CONTROL_PACKET: Final = 100
_CAPABILITIES: Final = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6
"""Versions of devices, sizes of packets, ids of 64 bits and lengths of 32: what QEMU wants for a USB 3 controller."""
_HEADER: Final = struct.Struct("<IIQ")
_FIRST_HEADER: Final = struct.Struct("<III")
_CONTROL: Final = struct.Struct("<BBBBHHH")
_GET_DESCRIPTOR: Final = 6
_STALL: Final = 4
_FULL_SPEED: Final = 1
_VENDOR_SPECIFIC: Final = 0xFF
_INVALID_ENDPOINT: Final = 255


class UsbDevice:
    """A device of a class of its own, with one configuration, one interface and no endpoint but the first.

    `configured` is set once the guest has taken it into use.
    """

    def __init__(self, *, vendor: int, product: int) -> None:
        self.vendor = vendor
        self.product = product
        self.configured = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def serve(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Answer until the connection ends."""
        self._socket = socket
        hello = b"a test".ljust(64, b"\0") + struct.pack("<I", _CAPABILITIES)
        await socket.send_bytes(_FIRST_HEADER.pack(HELLO, len(hello), 0) + hello)
        pending, header = b"", _FIRST_HEADER
        async for message in socket:
            pending += message.data
            while len(pending) >= header.size:
                kind, length, number = header.unpack_from(pending)
                end = header.size + length
                if len(pending) < end:
                    break
                await self._take(kind, number, pending[header.size : end])
                # Both ends have told what they can: from now on ids are long.
                pending, header = pending[end:], _HEADER

    async def _take(self, kind: int, number: int, body: bytes) -> None:
        if kind == HELLO:
            await self._describe()
        elif kind == SET_CONFIGURATION:
            await self._describe_interfaces()
            await self._send(CONFIGURATION_STATUS, number, bytes([0, body[0]]))
            self.configured.set()
        elif kind == GET_CONFIGURATION:
            await self._send(CONFIGURATION_STATUS, number, bytes([0, 1]))
        elif kind == CONTROL_PACKET:
            await self._control(number, body)

    async def _describe(self) -> None:
        await self._describe_interfaces()
        connect = struct.pack("<BBBBHHH", _FULL_SPEED, _VENDOR_SPECIFIC, 0, 0, self.vendor, self.product, 0x0100)
        await self._send(DEVICE_CONNECT, 0, connect)

    async def _describe_interfaces(self) -> None:
        kinds = bytes([_VENDOR_SPECIFIC]).ljust(32, b"\0")
        await self._send(INTERFACE_INFO, 0, struct.pack("<I", 1) + bytes(32) + kinds + bytes(64))
        control = [0 if index % 16 == 0 else _INVALID_ENDPOINT for index in range(32)]
        await self._send(
            EP_INFO, 0, bytes(control) + bytes(64) + struct.pack("<32H", *[64 if not kind else 0 for kind in control])
        )

    async def _control(self, number: int, body: bytes) -> None:
        endpoint, request, kind, _, value, index, length = _CONTROL.unpack_from(body)
        data = self._descriptor(value)[:length] if (request, kind) == (_GET_DESCRIPTOR, 0x80) else b""
        status = 0 if data else _STALL
        head = _CONTROL.pack(endpoint, request, kind, status, value, index, len(data))
        await self._send(CONTROL_PACKET, number, head + data)

    def _descriptor(self, value: int) -> bytes:
        configuration = struct.pack("<BBHBBBBB", 9, 2, 18, 1, 1, 0, 0x80, 50)
        interface = struct.pack("<BBBBBBBBB", 9, 4, 0, 0, 0, _VENDOR_SPECIFIC, 0, 0, 0)
        device = struct.pack(
            "<BBHBBBBHHHBBBB", 18, 1, 0x0200, _VENDOR_SPECIFIC, 0, 0, 64, self.vendor, self.product, 0x0100, 0, 0, 0, 1
        )
        return {0x0100: device, 0x0200: configuration + interface}.get(value, b"")

    async def _send(self, kind: int, number: int, body: bytes) -> None:
        assert self._socket is not None
        await self._socket.send_bytes(_HEADER.pack(kind, len(body), number) + body)
