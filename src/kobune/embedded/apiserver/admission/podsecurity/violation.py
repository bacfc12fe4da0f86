"""How a control says what is wrong with a pod, and how it looks at the pod's containers. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "Check",
    "Violation",
    "containers",
    "offenders",
    "plural",
    "quoted",
    "security_context",
    "setters",
    "who",
]

Object: TypeAlias = Mapping[str, Any]


class Violation(NamedTuple):
    """Why a pod does not meet a control: `reason` names the control, `detail` what to change and where."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


Check: TypeAlias = Callable[[Object, Object], Violation | None]
"""Looks at a pod's metadata and spec."""


def containers(spec: Object) -> Iterator[Object]:
    """All containers of a pod, in the order in which they are reported."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def security_context(owner: Object) -> Object:
    """The securityContext of a pod's spec or of a container; empty when there is none."""
    return owner.get("securityContext") or {}


def offenders(spec: Object, values: Callable[[Object], Iterable[str]]) -> tuple[list[str], list[str]]:
    """Names of the containers for which `values` finds something forbidden, and what it finds, sorted."""
    names, found = [], set()
    for container in containers(spec):
        wrong = list(values(container))
        if wrong:
            names.append(container.get("name", ""))
            found.update(wrong)
    return names, sorted(found)


def quoted(words: Iterable[str]) -> str:
    """`"a", "b"`."""
    return ", ".join(f'"{word}"' for word in words)


def plural(count: int, singular: str, form: str = "") -> str:
    """The word for that many; with `s` unless the plural is given."""
    return singular if count == 1 else form or f"{singular}s"


def who(names: Sequence[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural(len(names), 'container')} {quoted(names)}"


def setters(*, pod: bool, names: Sequence[str]) -> str:
    """Who sets something: `pod and container "a"`; empty when nobody does."""
    return " and ".join([*(["pod"] if pod else []), *([who(names)] if names else [])])
