"""The string formats that schemas of custom resources may ask for, and integer ranges.

Owns: deciding whether a text has a format. Unknown formats accept everything, as in the real server.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date

from kobune.embedded.apiserver.schema.scalars import canonical_time

__all__ = ["has_format"]

_UUID = re.compile(r"^(?i:[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})$")
_UUID_N = {
    n: re.compile(rf"^(?i:[0-9a-f]{{8}}-?[0-9a-f]{{4}}-?{n}[0-9a-f]{{3}}-?[0-9a-f]{{4}}-?[0-9a-f]{{12}})$")
    for n in "345"
}
_EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
_HOSTNAME = re.compile(
    r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.?$"
)
_MAC = re.compile(r"^(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$")
_DURATION = re.compile(
    r"^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))*$|^0$"
)
_COLOR = re.compile(r"^#?([a-fA-F0-9]{3}|[a-fA-F0-9]{6})$")
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")


def _tried(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _uri(text: str) -> bool:
    return bool(re.match(r"^[A-Za-z][A-Za-z0-9+.-]*:", text)) or text.startswith("/")


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _tried(canonical_time),
    "datetime": _tried(canonical_time),
    "date": _tried(date.fromisoformat),
    "duration": lambda s: bool(_DURATION.match(s.replace(" ", ""))),
    "email": lambda s: bool(_EMAIL.match(s)),
    "hostname": lambda s: len(s) <= 255 and bool(_HOSTNAME.match(s)),
    "ipv4": _tried(ipaddress.IPv4Address),
    "ipv6": _tried(ipaddress.IPv6Address),
    "cidr": _tried(lambda s: ipaddress.ip_interface(s) if "/" in s else int("x")),
    "mac": lambda s: bool(_MAC.match(s)),
    "uuid": lambda s: bool(_UUID.match(s)),
    "uuid3": lambda s: bool(_UUID_N["3"].match(s)),
    "uuid4": lambda s: bool(_UUID_N["4"].match(s)),
    "uuid5": lambda s: bool(_UUID_N["5"].match(s)),
    "byte": _tried(lambda s: base64.b64decode(s, validate=True)),
    "uri": _uri,
    "rgbcolor": lambda s: s.startswith("rgb("),
    "hexcolor": lambda s: bool(_COLOR.match(s)),
    "isbn10": lambda s: len(re.sub(r"[\s-]", "", s)) == 10,
    "isbn13": lambda s: len(re.sub(r"[\s-]", "", s)) == 13,
    "k8s-short-name": lambda s: bool(_LABEL.match(s)),
    "k8s-long-name": lambda s: len(s) <= 253 and bool(_SUBDOMAIN.match(s)),
}


def has_format(text: str, name: str) -> bool:
    """Whether the text has the named format; true for formats nobody defined."""
    check = _FORMATS.get(name)
    return check is None or check(text)
