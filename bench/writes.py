"""Reads the API server's audit log: which component wrote what, and when.

Owns: which requests count as writes. A write is a request that creates, changes or deletes a stored object, whether it
succeeded or not. Reviews and tokens are asked for and not stored; requests of subresources.kubevirt.io are passed on to
virt-api, whose own writes count.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

HEARTBEATS = {"leases", "nodes"}
"""Written on an idle instance just the same: no component writes one because of a virtual machine."""
UNSTORED = {"tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews"}


@dataclass(frozen=True)
class Write:
    """One writing request."""

    at: datetime
    agent: str
    verb: str
    resource: str
    name: str
    code: int
    what: str

    def line(self, since: datetime) -> str:
        """For people."""
        failed = f" -> {self.code}" if self.code >= 400 else ""
        offset_s = (self.at - since).total_seconds()
        return f"{offset_s:8.3f} {self.agent:<24} {self.verb:<7}{self.resource:<36} {self.what}{failed}"


class AuditReader:
    """What was written to the log since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size

    def read(self) -> list[Write]:
        """New writes, in the order in which they were asked for; heartbeats of components and nodes are left out."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        found = [write for line in data[:end].splitlines() if (write := _write(json.loads(line))) is not None]
        return sorted(found, key=lambda write: write.at)


def _write(entry: dict[str, Any]) -> Write | None:
    about = entry.get("objectRef", {})
    resource, subresource = about.get("resource", ""), about.get("subresource", "")
    if not resource or resource in UNSTORED | HEARTBEATS or subresource == "token":
        return None
    if about.get("apiGroup", "").startswith("subresources."):
        return None
    agent = entry.get("userAgent", "").split(" ")[0]
    if agent.startswith("python") or not agent:
        agent = entry.get("user", {}).get("username", "")
    return Write(
        at=datetime.fromisoformat(entry["requestReceivedTimestamp"]),
        agent=agent,
        verb=entry["verb"],
        resource=resource + (f"/{subresource}" if subresource else ""),
        name=about.get("name", ""),
        code=entry["responseStatus"]["code"],
        what=_what(resource, entry),
    )


def _what(resource: str, entry: dict[str, Any]) -> str:
    body = entry.get("requestObject")
    if resource == "events" and isinstance(body, dict):
        about = body.get("involvedObject", {})
        if "reason" not in body:
            return "again: " + ", ".join(sorted(body))
        return f"{about.get('kind')} {body.get('reason')}: {body.get('message', '')[:60]}"
    if entry["verb"] in ("patch", "update"):
        return ", ".join(_paths(body))[:400]
    return str(entry.get("objectRef", {}).get("name", ""))


def _paths(body: Any, prefix: str = "") -> list[str]:
    """Which fields a patch sets, with short values; conditions by their types."""
    if isinstance(body, list):
        body = {f"{i}": item for i, item in enumerate(body)} if prefix == "" else body
    if isinstance(body, dict) and body:
        found = []
        for key, value in body.items():
            if key in ("uid", "resourceVersion", "apiVersion", "kind"):
                continue
            found += _paths(value, f"{prefix}.{key}" if prefix else key)
        return found
    if isinstance(body, list) and body and all(isinstance(item, dict) and "type" in item for item in body):
        shown = "+".join(f"{item['type']}={str(item.get('status'))[:1]}" for item in body)
        return [f"{prefix}[{shown}]"]
    if isinstance(body, list):
        return [f"{prefix}[{len(body)}]"]
    return [f"{prefix}={str(body)[:32]}"]
