"""What must be there before anything is started: rights, programs, a free port. Changes nothing."""

import errno
import ipaddress
import json
import os
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from kobune.base.errors import TerminalError
from kobune.host.files import write_file
from kobune.main.settings import Settings, default_data_dir

__all__ = ["PreflightError", "check_node", "check_port", "check_subnets", "choose_ports"]

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ctr": "containerd",
    "nft": "nftables",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "nsenter": "util-linux",
    "mount": "mount",
}
ROUTES = Path("/proc/net/route")
ROUTES6 = Path("/proc/net/ipv6_route")
CNI_BIN_DIR = Path("/usr/lib/cni")


_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class PreflightError(TerminalError):
    """Something that Kobune needs is missing; the message says how to get it."""


def _bind_error(host: str, port: int) -> OSError | None:
    """Why `host:port` can't be listened on; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def check_port(host: str, port: int) -> None:
    """Raise PreflightError when `host:port` can't be listened on."""
    error = _bind_error(host, port)
    if error is not None:
        reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise PreflightError(f"--listen {host}:{port} {reason}; choose another with --listen ADDRESS:PORT")


def _is_free(port: int) -> bool:
    return _bind_error("0.0.0.0", port) is None  # noqa: S104 - asked, not listened on


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def choose_ports(settings: Settings) -> Settings:
    """Settings with the inner components' ports: those of the last start, else the usual ones, else any that is free.

    The usual ones belong to the default data directory alone, or instances that start side by side would all find them
    free. They are written down so that a restart finds the clients where they are.
    """
    record = settings.data_dir / "ports.json"
    try:
        known: dict[str, int] = json.loads(record.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        known = {}
    chosen: dict[str, int] = {}
    for name in ("virt_api_port", "virt_handler_port", "kubelet_port"):
        usual = getattr(settings, name) if settings.data_dir == default_data_dir() else None
        wanted = (known.get(name), usual)
        chosen[name] = next((port for port in wanted if port and _is_free(port)), None) or _free_port()
    if chosen != known:
        write_file(record, json.dumps(chosen).encode())
    return replace(
        settings,
        virt_api_port=chosen["virt_api_port"],
        virt_handler_port=chosen["virt_handler_port"],
        kubelet_port=chosen["kubelet_port"],
    )


def check_subnets(subnets: str, bridge: str) -> None:
    """`subnets`: IPv4, or IPv4 and IPv6 after a comma.

    Raises PreflightError when they are something else, or when another interface than our bridge routes a part of one.
    """
    first, comma, second = subnets.partition(",")
    try:
        wanted: list[_Network] = [ipaddress.IPv4Network(first)]
        wanted += [_ipv6_network(second)] if comma else []
    except ValueError as error:
        raise PreflightError(
            f"--pod-subnet {subnets}: {error}; give a network such as 10.42.0.0/24, or two: 10.42.0.0/24,fd42::/64"
        ) from None
    for interface, network in [*_routes(), *(_routes6() if comma else ())]:
        for subnet in wanted:
            if network.prefixlen and interface != bridge and network.version == subnet.version:
                _refuse_overlap(subnet, network, interface)


def _refuse_overlap(subnet: _Network, network: _Network, interface: str) -> None:
    if int(network[0]) <= int(subnet[-1]) and int(subnet[0]) <= int(network[-1]):
        example = "10.143.0.0/24" if subnet.version == 4 else "10.42.0.0/24,fd43::/64"
        raise PreflightError(
            f"--pod-subnet {subnet} overlaps {network} of interface {interface}: choose another, "
            f"for example --pod-subnet {example}"
        )


def _ipv6_network(text: str) -> ipaddress.IPv6Network:
    network = ipaddress.IPv6Network(text)
    if not 48 <= network.prefixlen <= 120:
        raise ValueError(f"{network} must have a prefix of 48 to 120 bits")
    if not ROUTES6.exists():
        raise ValueError("this machine has no IPv6")
    return network


def _routes() -> list[tuple[str, _Network]]:
    """(interface, network) of each."""
    found: list[tuple[str, _Network]] = []
    for line in ROUTES.read_text().splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask, *_ = line.split()
        # The kernel prints the addresses' bytes as a number of this machine's byte order.
        found.append((interface, ipaddress.IPv4Network((_address(destination), str(_address(mask))))))
    return found


def _routes6() -> list[tuple[str, _Network]]:
    found: list[tuple[str, _Network]] = []
    for line in ROUTES6.read_text().splitlines():
        destination, length, *_, interface = line.split()
        if interface != "lo":
            found.append((interface, ipaddress.IPv6Network((int(destination, 16), int(length, 16)), strict=False)))
    return found


def _address(text: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(text, 16).to_bytes(4, sys.byteorder))


def check_node() -> None:
    """Raise PreflightError unless this machine can run pods."""
    if os.geteuid() != 0:
        raise PreflightError("running pods needs root: use sudo, or --control-plane-only for the API alone")
    missing = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if not (CNI_BIN_DIR / "bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        raise PreflightError(f"programs are missing: apt-get install -y {' '.join(sorted(missing))}")
