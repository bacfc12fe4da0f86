"""Which builds of Kobune's own images this instance's containerd has been given."""

import json

from kobune.host.files import write_file
from kobune.main.settings import Settings

__all__ = ["read_imported", "write_imported"]


def read_imported(settings: Settings) -> dict[str, str]:
    """Full reference -> the build's key; empty when nothing was imported or the record is unreadable."""
    try:
        record: dict[str, str] = json.loads((settings.data_dir / "containerd/imported.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record


def write_imported(settings: Settings, imported: dict[str, str]) -> None:
    """Replace the record."""
    write_file(settings.data_dir / "containerd/imported.json", json.dumps(imported).encode())
