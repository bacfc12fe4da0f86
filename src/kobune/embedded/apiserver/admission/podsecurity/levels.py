"""What a namespace asks for: a level and a version for each of enforce, audit and warn. Pure.

Source: Kubernetes' documentation of Pod Security Admission (labels, defaults, what a wrong label means).
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from kobune.embedded.apiserver.schema.errors import FieldError

__all__ = ["LATEST", "PREFIX", "Level", "Policies", "Standard", "policies_of"]

PREFIX: Final = "pod-security.kubernetes.io/"
LATEST: Final = 1 << 30
"""The minor version that "latest" means: newer than every one."""
_VERSION: Final = re.compile(r"v1\.(0|[1-9][0-9]{0,5})")


class Level(IntEnum):
    """The published levels, the stricter the greater."""

    PRIVILEGED = 0
    BASELINE = 1
    RESTRICTED = 2


class Standard(NamedTuple):
    """A level as one Kubernetes version publishes it; `minor` of v1.MINOR."""

    level: Level = Level.PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        version = "latest" if self.minor == LATEST else f"v1.{self.minor}"
        return f"{self.level.name.lower()}:{version}"


class Policies(NamedTuple):
    """What is refused, what is noted in the audit log, and what is warned of."""

    enforce: Standard = Standard()
    audit: Standard = Standard()
    warn: Standard = Standard()


def policies_of(labels: Mapping[str, str]) -> tuple[Policies, list[FieldError]]:
    """The policies of a namespace, and what is wrong with its labels.

    A level that does not exist enforces the strictest one, and is neither warned of nor noted; a version that does not
    exist means the latest. Without a label of its own, what is enforced is warned of as well, for the sake of the
    objects that make pods.
    """
    problems: list[FieldError] = []
    enforce, levelled = _standard(labels, "enforce", Level.RESTRICTED, problems)
    audit, _ = _standard(labels, "audit", Level.PRIVILEGED, problems)
    warn, _ = _standard(labels, "warn", Level.PRIVILEGED, problems)
    if PREFIX + "warn" not in labels and levelled and enforce.level > warn.level:
        warn = enforce if PREFIX + "warn-version" not in labels else Standard(enforce.level, warn.minor)
    return Policies(enforce, audit, warn), problems


def _standard(
    labels: Mapping[str, str], mode: str, on_error: Level, problems: list[FieldError]
) -> tuple[Standard, bool]:
    """The standard of a mode, and whether a valid label names its level."""
    level, minor, levelled = Level.PRIVILEGED, LATEST, False
    name = labels.get(PREFIX + mode)
    if name is not None:
        levelled = name in (one.name.lower() for one in Level)
        level = Level[name.upper()] if levelled else on_error
        if not levelled:
            problems.append(_problem(mode, name, "must be one of privileged, baseline, restricted"))
    version = labels.get(f"{PREFIX}{mode}-version")
    if version is not None and version != "latest":
        found = _VERSION.fullmatch(version)
        minor = int(found[1]) if found is not None else LATEST
        if found is None:
            problems.append(_problem(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
    return Standard(level, minor), levelled


def _problem(label: str, value: str, text: str) -> FieldError:
    return FieldError.invalid(f"metadata.labels[{PREFIX}{label}]", value, text)
