"""What a launcher tells, cut to what the API takes and people can read. Pure.

A launcher faces its guest, and may have been taken over by it: whatever it says may describe its own guest wrongly, but
must not fill the API with megabytes, make the API refuse the status, or carry control characters to a terminal.
"""

from ipaddress import ip_address
from typing import Final

import msgspec

from kobune.virt.launcherproto.messages import DomainState, ExitInfo, GuestOs, InterfaceState
from kobune.virt.launcherproto.text import MAX_MESSAGE, readable

__all__ = ["MAX_ADDRESSES", "MAX_INTERFACES", "bounded"]

MAX_INTERFACES: Final = 256
MAX_ADDRESSES: Final = 1024
"""Of all interfaces together."""
MAX_COUNT: Final = 2**31 - 1
MAX_BYTES: Final = 2**62


def bounded(state: DomainState) -> DomainState:
    """The state with short, printable texts, numbers that the API's types hold, and addresses that are addresses."""
    return msgspec.structs.replace(
        state,
        uuid=readable(state.uuid),
        started_at=readable(state.started_at),
        exit=_exit(state.exit) if state.exit is not None else None,
        machine=readable(state.machine),
        memory_bytes=_number(state.memory_bytes, MAX_BYTES),
        cores=_number(state.cores),
        sockets=_number(state.sockets),
        threads=_number(state.threads),
        interfaces=_interfaces(state.interfaces),
        agent_version=readable(state.agent_version),
        hostname=readable(state.hostname),
        guest_os=_guest_os(state.guest_os) if state.guest_os is not None else None,
        resets=_number(state.resets),
        credentials_message=readable(state.credentials_message, MAX_MESSAGE),
        last_error=readable(state.last_error, MAX_MESSAGE),
    )


def _number(value: int, limit: int = MAX_COUNT) -> int:
    return min(max(value, 0), limit)


def _exit(told: ExitInfo) -> ExitInfo:
    return msgspec.structs.replace(told, message=readable(told.message, MAX_MESSAGE))


def _guest_os(told: GuestOs) -> GuestOs:
    return GuestOs(**{name: readable(getattr(told, name)) for name in GuestOs.__struct_fields__})


def _interfaces(told: list[InterfaceState]) -> list[InterfaceState]:
    left = MAX_ADDRESSES
    found = []
    for one in told[:MAX_INTERFACES]:
        addresses = [address for address in one.ip_addresses[:left] if _is_address(address)]
        left -= len(addresses)
        found.append(
            msgspec.structs.replace(
                one,
                name=readable(one.name),
                mac=readable(one.mac, 64),
                guest_name=readable(one.guest_name),
                ip_addresses=addresses,
                queues=_number(one.queues),
            )
        )
    return found


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return len(text) <= 64
