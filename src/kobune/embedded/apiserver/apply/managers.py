"""metadata.managedFields as a value: who owns which fields.

Owns: reading and writing the list, its order, times, and the cap on Update managers.
"""

from dataclasses import dataclass, field
from typing import Any

from kobune.embedded.apiserver.apply.fields import FieldSet, decode_fields, encode_fields

__all__ = ["Managed", "Owner"]

MAX_UPDATE_MANAGERS = 10
"""More managers of plain updates than this are merged, oldest first."""
_ANCIENT = "ancient-changes"


@dataclass(frozen=True, slots=True)
class Owner:
    """Identity of an entry. `operation` is Apply or Update."""

    manager: str
    operation: str
    api_version: str
    subresource: str = ""

    def describe(self) -> str:
        """As a conflict names it."""
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return text + (f" using {self.api_version}" if self.operation == "Update" else "")


@dataclass(slots=True)
class Managed:
    """The owners of an object's fields and when each last changed."""

    sets: dict[Owner, FieldSet] = field(default_factory=dict)
    times: dict[Owner, str] = field(default_factory=dict)

    @classmethod
    def decode(cls, entries: Any) -> "Managed | None":
        """Read managedFields; None when they are malformed."""
        result = cls()
        for entry in entries or ():
            if not isinstance(entry, dict) or entry.get("operation") not in ("Apply", "Update"):
                return None
            if entry.get("fieldsType", "FieldsV1") != "FieldsV1" or not entry.get("apiVersion"):
                return None
            owner = Owner(
                entry.get("manager", ""), entry["operation"], entry["apiVersion"], entry.get("subresource", "")
            )
            try:
                result.sets[owner] = decode_fields(entry.get("fieldsV1") or {})
            except ValueError:
                return None
            if entry.get("time"):
                result.times[owner] = entry["time"]
        return result

    def encode(self) -> list[dict[str, Any]]:
        """Write managedFields: Apply before Update, then by time and name."""
        entries = []
        for owner, paths in self.sets.items():
            entry: dict[str, Any] = {"manager": owner.manager, "operation": owner.operation}
            entry["apiVersion"] = owner.api_version
            if owner in self.times:
                entry["time"] = self.times[owner]
            entry["fieldsType"] = "FieldsV1"
            entry["fieldsV1"] = encode_fields(paths)
            if owner.subresource:
                entry["subresource"] = owner.subresource
            entries.append(entry)
        entries.sort(
            key=lambda e: (e["operation"], e.get("time", ""), e["manager"], e["apiVersion"], e.get("subresource", ""))
        )
        return entries

    def copy(self) -> "Managed":
        """An independent copy."""
        return Managed({o: set(p) for o, p in self.sets.items()}, dict(self.times))

    def drop_empty(self) -> None:
        """Owners of nothing disappear."""
        for owner in [o for o, paths in self.sets.items() if not paths]:
            del self.sets[owner]
            self.times.pop(owner, None)

    def cap(self) -> None:
        """Merge the oldest Update managers when there are too many."""
        updates = sorted(
            (o for o in self.sets if o.operation == "Update" and o.manager != _ANCIENT),
            key=lambda o: (self.times.get(o, ""), o.manager),
        )
        excess = len(updates) - MAX_UPDATE_MANAGERS
        for owner in updates[: max(excess, 0)]:
            bucket = Owner(_ANCIENT, "Update", owner.api_version)
            self.sets[bucket] = self.sets.get(bucket, set()) | self.sets.pop(owner)
            moment = self.times.pop(owner, "")
            if moment:
                self.times[bucket] = max(self.times.get(bucket, ""), moment)
