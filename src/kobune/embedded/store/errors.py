"""What can go wrong with the store; each error carries what its reader needs to act."""

from pathlib import Path

from kobune.base.errors import KobuneError, RetryableError, TerminalError

__all__ = [
    "Compacted",
    "Corrupt",
    "DiskFull",
    "NewerVersion",
    "RevisionConflict",
    "StoreError",
    "StoreFailed",
    "StoreInUse",
]


class StoreError(KobuneError):
    """Base of the store's errors."""


class RevisionConflict(StoreError, RetryableError):
    """A write expected another revision of the key than the newest one; `current` is 0 when there is none."""

    def __init__(self, expected: int, current: int) -> None:
        super().__init__(f"expected revision {expected}, the newest is {current}")
        self.expected = expected
        self.current = current


class Compacted(StoreError, TerminalError):
    """History before `compacted` is gone."""

    def __init__(self, revision: int, compacted: int) -> None:
        super().__init__(f"revision {revision} is compacted: history starts after {compacted}")
        self.revision = revision
        self.compacted = compacted


class StoreFailed(StoreError, TerminalError):
    """A commit failed: it was not acknowledged, and did not happen. `DiskFull` passes; after an I/O error nothing more
    is acknowledged by this process."""


class DiskFull(StoreFailed):
    """There was no room for a commit; nothing of it was kept. The next one may succeed."""


class Corrupt(StoreError, TerminalError):
    """The file is damaged or no store of Kobune's."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path} is damaged or not a Kobune store: {detail}. Restore a backup, or move the file away.")
        self.path = path
        self.detail = detail


class NewerVersion(StoreError, TerminalError):
    """The file was written by a newer Kobune."""

    def __init__(self, path: Path, found: int, supported: int) -> None:
        super().__init__(
            f"{path} has format {found}, this Kobune knows formats up to {supported}: use the Kobune that wrote it"
        )
        self.path = path
        self.found = found
        self.supported = supported


class StoreInUse(StoreError, TerminalError):
    """Another process has the store open."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is in use by another Kobune process: stop it, or choose another data directory")
        self.path = path
