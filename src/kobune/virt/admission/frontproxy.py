"""Who asks: identities that the API server vouches for when it passes a request on.

Owns: the trust in the front proxy (kube-system/extension-apiserver-authentication) and the headers it sets.
Source: the aggregation layer's authentication flow.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from kobune.api.core import ConfigMap

__all__ = ["FrontProxy", "User"]


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user."""

    name: str
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """Which client certificates are the front proxy's, and which headers carry the user."""

    ca_pem: str
    allowed_names: tuple[str, ...]
    user_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @staticmethod
    def of(config_map: ConfigMap) -> "FrontProxy | None":
        """Read the ConfigMap; None when it has no front proxy."""
        data = config_map.data

        def words(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
            try:
                found = json.loads(data.get(f"requestheader-{name}", "null"))
            except ValueError:
                return default
            return tuple(map(str, found)) if isinstance(found, list) else default

        ca_pem = data.get("requestheader-client-ca-file", "")
        if not ca_pem:
            return None
        return FrontProxy(
            ca_pem,
            words("allowed-names", ()),
            words("username-headers", ("X-Remote-User",)),
            words("group-headers", ("X-Remote-Group",)),
            words("extra-headers-prefix", ("X-Remote-Extra-",)),
        )

    def trusts(self, common_name: str | None) -> bool:
        """Whether the holder of a verified certificate may vouch; without allowed names, any holder may."""
        return common_name is not None and (not self.allowed_names or common_name in self.allowed_names)

    def user(self, headers: list[tuple[str, str]]) -> User | None:
        """The user in the headers, None when there is none."""
        names = self._values(headers, self.user_headers)
        if not names or not names[0]:
            return None
        extra: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            for prefix in self.extra_prefixes:
                if name.lower().startswith(prefix.lower()):
                    key = unquote(name[len(prefix) :]).lower()
                    extra[key] = (*extra.get(key, ()), value)
        return User(names[0], tuple(self._values(headers, self.group_headers)), extra)

    @staticmethod
    def _values(headers: list[tuple[str, str]], wanted: tuple[str, ...]) -> list[str]:
        lower = [name.lower() for name in wanted]
        return [value for name, value in headers if name.lower() in lower]
