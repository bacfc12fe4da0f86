"""What a guest is given from outside besides disks: ACPI tables from secrets, and a USB device of a client."""

import asyncio
import base64
from collections.abc import Coroutine, Iterator
from typing import Any

import aiohttp
import pytest
import yaml

from support.fault_guests import DirectApi
from support.guest_shell import DRIVERS, look, machine
from support.instance import Instance
from support.usb_device import UsbDevice

NAME = "outside"
PATH = f"/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances/{NAME}/usbredir"
SLOTS = 4
TABLES = "cd /sys/firmware/acpi/tables; sudo cat SLIC MSDM | base64 -w0"
IDS = "cat /sys/bus/usb/devices/*/uevent | grep ^PRODUCT="


def table(signature: bytes, content: bytes) -> bytes:
    """An ACPI table: a header of 36 bytes with length and checksum, then its content."""
    length = 36 + len(content)
    head = signature + length.to_bytes(4, "little") + b"\x01\0KOBUNEBOAT    " + bytes(4) + b"TEST" + bytes(4)
    whole = bytearray(head + content)
    whole[9] = -sum(whole) % 256
    return bytes(whole)


SLIC = table(b"SLIC", b"a licence" * 20)
MSDM = table(b"MSDM", b"a product key")


def secret(name: str, key: str, value: bytes) -> dict[str, object]:
    encoded = base64.b64encode(value).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {key: encoded}}


OBJECTS = yaml.safe_dump_all([secret("windows", "slic.bin", SLIC), secret("licence", "msdm.bin", MSDM)])
GUEST = machine(
    NAME,
    image=DRIVERS,
    memory="192Mi",
    devices={"clientPassthrough": {}},
    domain={"firmware": {"acpi": {"slicNameRef": "windows", "msdmNameRef": "licence"}}},
    volumes=[{"name": name, "secret": {"secretName": name}} for name in ("windows", "licence")],
)


@pytest.fixture(scope="module")
def guest(instance: Instance) -> Iterator[str]:
    instance.kubectl("apply", "-f", "-", stdin=OBJECTS)
    instance.kubectl("apply", "-f", "-", stdin=GUEST)
    instance.wait_phase(NAME, "Running")
    yield NAME
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=f"{OBJECTS}---\n{GUEST}")


def test_the_firmware_has_the_tables_of_the_secrets(instance: Instance, guest: str) -> None:
    (told,) = look(instance, guest, TABLES)
    found = base64.b64decode(told.split()[-1])
    assert SLIC[36:] in found
    assert MSDM[36:] in found
    assert found.startswith(b"SLIC")
    assert b"MSDM" in found


def run(client: Coroutine[Any, Any, None]) -> None:
    async def whole() -> None:
        try:
            await client
        finally:
            # A closed session leaves the end of its TLS connections to the loop.
            await asyncio.sleep(0.5)

    asyncio.run(whole())


async def connect(session: aiohttp.ClientSession, api: DirectApi) -> aiohttp.ClientWebSocketResponse:
    return await session.ws_connect(
        f"{api.server}{PATH}",
        ssl=api.context,
        headers={"Authorization": f"Bearer {api.token}"},
        protocols=("plain.kubevirt.io",),
    )


def test_a_usb_device_of_a_client_is_seen_by_the_guest_as_long_as_the_client_stays(
    instance: Instance, guest: str
) -> None:
    api = DirectApi(instance)
    device = UsbDevice(vendor=0x1209, product=0x0B0A)

    async def redirect() -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(180):
            socket = await connect(session, api)
            serving = asyncio.create_task(device.serve(socket))
            await device.configured.wait()
            (seen,) = await asyncio.to_thread(look, instance, guest, IDS)
            assert "PRODUCT=1209/b0a/" in seen
            await socket.close()
            await serving

    run(redirect())

    def gone() -> bool:
        (seen,) = look(instance, guest, IDS)
        return "PRODUCT=1209/b0a/" not in seen

    instance.eventually("the device has gone with its client", gone, 60)


def test_there_are_as_many_slots_as_devices_and_no_more(instance: Instance, guest: str) -> None:
    api = DirectApi(instance)

    async def fill() -> None:
        async with aiohttp.ClientSession() as session, asyncio.timeout(120):
            sockets = [await connect(session, api) for _ in range(SLOTS)]
            for socket in sockets:
                assert b"qemu" in (await socket.receive_bytes()).lower(), "QEMU greets every client"
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect(session, api)
            assert refused.value.status == 409
            for socket in sockets:
                await socket.close()

    run(fill())
