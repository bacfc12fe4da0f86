"""What was attached to which sandbox, on disk: a kubelet that starts anew can detach it. Owns the files' form."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kobune.embedded.kubelet.networks.selection import Selection
from kobune.host.files import write_file

__all__ = ["Attached", "PodRecord", "Records"]


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """One network. `config` is the text that it was attached with; `complete` is false while plugins may be at work."""

    selection: Selection
    config: str
    complete: bool = False
    result: dict[str, Any] = {}


class PodRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All of one pod. `namespace` is the path of the sandbox's network namespace."""

    sandbox: str
    namespace: str
    attached: tuple[Attached, ...] = ()


class Records:
    """One file per pod uid, and the bridges that plugins made on the way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, uid: str) -> PodRecord | None:
        """None when nothing of the pod is attached."""
        try:
            return msgspec.json.decode(self._file(uid).read_bytes(), type=PodRecord)
        except FileNotFoundError:
            return None

    def write(self, uid: str, record: PodRecord) -> None:
        """Durable before it returns."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(self._file(uid), msgspec.json.encode(record), 0o600)

    def remove(self, uid: str) -> None:
        """Forget the pod; none is no error."""
        self._file(uid).unlink(missing_ok=True)

    def uids(self) -> Iterator[str]:
        """Pods that something is attached to."""
        with contextlib.suppress(FileNotFoundError):
            for entry in sorted(os.listdir(self._folder)):
                if entry.endswith(".json"):
                    yield entry.removesuffix(".json")

    def note_bridge(self, name: str) -> None:
        """A plugin is about to make this bridge on the node."""
        known = self.bridges()
        if name not in known:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_file(self._folder / "bridges", "".join(f"{one}\n" for one in [*known, name]).encode(), 0o600)

    def bridges(self) -> list[str]:
        """Bridges of the node that are there because of a pod's network."""
        try:
            return (self._folder / "bridges").read_text().split()
        except FileNotFoundError:
            return []

    def _file(self, uid: str) -> Path:
        return self._folder / f"{uid}.json"
