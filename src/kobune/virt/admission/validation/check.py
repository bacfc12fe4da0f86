"""The pad that checks write on, and checks that many fields share."""

import posixpath
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from kobune.api.meta import QuantityValue
from kobune.base.quantity import QuantityError, parse_quantity
from kobune.virt.admission.review import Problem, Reason

__all__ = [
    "DNS_LABEL",
    "DNS_SUBDOMAIN",
    "LONGEST_SERIAL",
    "PCI_ADDRESS",
    "SERIAL",
    "Findings",
    "amount",
    "check_path",
    "is_mac_address",
    "number_of",
]

DNS_LABEL: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
DNS_SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
PCI_ADDRESS: Final = re.compile(r"^[\da-fA-F]{4}:[\da-fA-F]{2}:[01][\da-fA-F]\.[0-7]$")
_MAC: Final = re.compile(r"^[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}$")
SERIAL: Final = re.compile(r"^[A-Za-z0-9_.+-]+$")
LONGEST_SERIAL: Final = 256


@dataclass(slots=True)
class Findings:
    """Problems found so far, and which feature gates are open."""

    gates: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: str, message: str, reason: str = Reason.INVALID) -> None:
        """Note a problem once."""
        problem = Problem(path, reason, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def required(self, path: str, message: str) -> None:
        """Note that something is missing."""
        self.add(path, message, Reason.REQUIRED)


def amount(value: QuantityValue) -> float | None:
    """A quantity as a number, None when it is none."""
    try:
        return float(parse_quantity(value))
    except QuantityError:
        return None


def number_of(value: QuantityValue | None) -> Decimal | None:
    """A quantity as an exact number, None when it is none."""
    if value is None:
        return None
    try:
        return parse_quantity(value)
    except QuantityError:
        return None


def is_mac_address(text: str) -> bool:
    """Six bytes, separated by colons or dashes: what libvirt reads."""
    return _MAC.match(text) is not None


def check_path(findings: Findings, where: str, path: str) -> None:
    """That a path inside an image names a file: absolute, not the root, and nothing in it leads elsewhere."""
    if path == "/":
        findings.add(where, f"{where} must not point to root")
    elif posixpath.normpath(f"/{path}".replace("//", "/", 1)) != path.removesuffix("/"):
        findings.add(where, f"{where} must be an absolute path to a file without relative components")
