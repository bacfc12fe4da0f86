"""What the steps of the pipeline share: one request with its user and resource, and the server's services."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.registry.registry import Registry, Resource
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.route import RequestInfo
from kobune.embedded.apiserver.user import User

__all__ = ["Admission", "Call", "Services"]


class Admission(Protocol):
    """Changes and checks an object on its way in."""

    async def mutate(
        self, call: "Call", operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Change `obj` in place. Raises StatusError."""
        ...

    async def validate(
        self, call: "Call", operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Check. Raises StatusError."""
        ...

    async def review(self, call: "Call", operation: str, obj: dict[str, Any]) -> None:
        """Let hooks and policies change and check an object that is not stored (`call.body_kind` names its kind)."""
        ...


@dataclass(slots=True)
class Services:
    """What the server consists of; made once."""

    storage: Storage
    registry: Registry
    authorizer: Authorizer
    admission: Admission
    parts: dict[str, Any] = field(default_factory=dict)
    """Strategies' own state (address allocators, token issuer, proxies), by name."""


@dataclass(slots=True)
class Call:
    """One request on a resource. `warnings` become Warning headers."""

    services: Services
    request: Request
    user: User
    info: RequestInfo
    resource: Resource
    warnings: list[str] = field(default_factory=list)
    dry_run: bool = False
    changed: bool = False
    """A webhook changed the object: it has to be decoded and defaulted again."""
    owned: bool = False
    """managedFields of the object are right already (it was applied)."""
    owner_subresource: str = ""
    """Names the subresource in managedFields where it writes through the object itself (scale)."""
    body_kind: tuple[str, str, str] | None = None
    """(group, version, kind) of what admission sees, where that is not the resource's own kind (Eviction, Scale)."""
    options: Any = None
    """The request's options object as admission webhooks get it."""

    def annotate(self, key: str, value: str) -> None:
        """Note something in the audit log; values of one key that differ stand side by side."""
        noted = self.request.annotations or {}
        if value not in noted.get(key, "").split(", "):
            noted = {**noted, key: f"{noted[key]}, {value}" if key in noted else value}
        self.request.annotations = noted

    def warn(self, text: str) -> None:
        """Add a warning once."""
        if text not in self.warnings:
            self.warnings.append(text)
