"""What a DHCP server of a guest's network offers, and its rendering as dnsmasq's configuration. Pure."""

import hashlib
import re
from dataclasses import dataclass
from ipaddress import IPv4Address

__all__ = ["DhcpConfig", "Lease", "render"]

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_TEXT = re.compile(r"[ !#-\[\]-~]{1,255}")
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?\.?")
FOREVER = "infinite"


@dataclass(frozen=True, slots=True)
class Lease:
    """The one address of one guest interface, offered on a bridge to its MAC address alone.

    `routes` are classless static routes (option 121) as (destination CIDR, gateway); clients that know them ignore
    `gateway`, so the default route must be among them. With `shared_network` the bridge itself has no address in the
    guest's network. Raises ValueError when `mac` is no MAC address.
    """

    bridge: str
    mac: str
    address: str
    prefix_length: int
    netmask: str
    gateway: str | None
    mtu: int
    address6: str | None = None
    prefix_length6: int = 120
    routes: tuple[tuple[str, str], ...] = ()
    shared_network: bool = False
    ntp_servers: tuple[str, ...] = ()
    text_options: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        if not _MAC.fullmatch(self.mac):
            raise ValueError(f"{self.mac!r} is no MAC address")
        for number, text in self.text_options:
            if not 0 < number < 255 or not _TEXT.fullmatch(text):
                raise ValueError(f"DHCP option {number} cannot be {text[:80]!r}: use printable ASCII without quotes")


@dataclass(frozen=True, slots=True)
class DhcpConfig:
    """One server for all interfaces of a guest; names and domains that are no valid ones are left out."""

    leases: tuple[Lease, ...]
    hostname: str
    dns_servers: tuple[str, ...]
    search_domains: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A short name of exactly this configuration."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


def render(config: DhcpConfig) -> str:
    """The configuration file. Every value is checked or ours: no line can be smuggled in by a VM's specification."""
    lines = [
        "port=0",  # no DNS: guests ask the pod's own servers
        "bind-interfaces",
        "except-interface=lo",
        "dhcp-authoritative",
        # A secondary network may have other guests on it, whose own servers answer: refuse them nothing.
        "dhcp-ignore=tag:!known",
        "leasefile-ro",  # one guest, one address: nothing to remember
        "no-ping",
        "no-resolv",
        "no-hosts",
        "quiet-dhcp",
        "quiet-dhcp6",
        "quiet-ra",
    ]
    servers = [server for server in config.dns_servers if ":" not in server]
    servers6 = [server for server in config.dns_servers if ":" in server]
    domains = [domain.rstrip(".") for domain in config.search_domains if _DOMAIN.fullmatch(domain)]
    for number, lease in enumerate(config.leases):
        tag = f"nic{number}"
        lines += [
            f"interface={lease.bridge}",
            f"dhcp-range=set:{tag},{lease.address},static,{lease.netmask},{FOREVER}",
            f"dhcp-host={lease.mac},set:{tag},{_name(config.hostname)}{lease.address},{FOREVER}",
            f"dhcp-option=tag:{tag},option:mtu,{lease.mtu}",
            # An empty option keeps dnsmasq from offering itself.
            f"dhcp-option=tag:{tag},option:router{',' + lease.gateway if lease.gateway else ''}",
            f"dhcp-option=tag:{tag},option:dns-server{''.join(f',{server}' for server in servers)}",
        ]
        if lease.shared_network:
            lines += [f"shared-network={lease.bridge},{lease.address}"]
        if lease.ntp_servers:
            lines += [
                f"dhcp-option=tag:{tag},option:ntp-server,{','.join(map(str, map(IPv4Address, lease.ntp_servers)))}"
            ]
        # Quotes make it a text even where it looks like an address or a number.
        lines += [f'dhcp-option-force=tag:{tag},{number},"{text}"' for number, text in lease.text_options]
        if lease.routes:
            pairs = ",".join(f"{destination},{gateway}" for destination, gateway in lease.routes)
            lines += [f"dhcp-option=tag:{tag},option:classless-static-route,{pairs}"]
        if domains:
            lines += [f"dhcp-option=tag:{tag},option:domain-search,{','.join(domains)}"]
        if lease.address6:
            lines += [
                f"dhcp-range=set:{tag}v6,{lease.address6},static,{lease.prefix_length6},{FOREVER}",
                f"dhcp-host={lease.mac},set:{tag}v6,[{lease.address6}],{FOREVER}",
                f"dhcp-option=tag:{tag}v6,option6:dns-server{''.join(f',[{server}]' for server in servers6)}",
            ]
    if any(lease.address6 for lease in config.leases):
        lines += ["enable-ra"]
    return "\n".join([*lines, ""])


def _name(hostname: str) -> str:
    first_label = hostname.partition(".")[0]
    return f"{first_label}," if _HOSTNAME.fullmatch(first_label) else ""
