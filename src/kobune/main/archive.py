"""The file of a backup: a gzipped tar of manifest.json, pki/... and store.db, checked from end to end when read.

Owns its format. Must not know what the members mean or where they go.
"""

import gzip
import hashlib
import os
import re
import tarfile
import zlib
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import msgspec

from kobune.base.errors import TerminalError

__all__ = ["FORMAT", "STORE", "BadBackup", "Manifest", "digest_of", "unpack", "write_archive"]

FORMAT = 1
MANIFEST = "manifest.json"
STORE = "store.db"
MANIFEST_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"store\.db|pki/[A-Za-z0-9][A-Za-z0-9._-]*")


class BadBackup(TerminalError):
    """The file is no backup, is damaged or incomplete, or was written by a newer Kobune."""

    def __init__(self, file: Path, detail: str) -> None:
        super().__init__(f"{file} can't be restored: {detail}; nothing was changed")
        self.file = file
        self.detail = detail


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; `files` maps names to SHA-256 in hexadecimal."""

    format: int
    kobune: str
    created: str
    revision: int
    files: dict[str, str]


def write_archive(archive: Path, manifest: Manifest, keys: Mapping[str, bytes], store: Path) -> None:
    """Write a new file, mode 0600, durably; `keys` are its small members by name."""
    with open(archive, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        with tarfile.open(fileobj=output, mode="w:gz", compresslevel=1) as tar:
            _add(tar, MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            for name, key in keys.items():
                _add(tar, name, key)
            with store.open("rb") as content:
                tar.addfile(_member(STORE, store.stat().st_size), content)
        output.flush()
        os.fsync(output.fileno())


def unpack(file: Path, folder: Path) -> Manifest:
    """Write the verified members below `folder`, an empty directory, durably. Raises BadBackup."""
    (folder / "pki").mkdir(mode=0o700)
    try:
        with gzip.open(file) as plain:
            with tarfile.open(fileobj=plain, mode="r:") as tar:
                manifest = _read_manifest(file, tar)
                found = {member.name for member in tar if _extract(file, tar, member, manifest, folder)}
            while plain.read(_CHUNK_BYTES):
                pass  # the checksum of the whole is at its end
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BadBackup(file, f"it is damaged, incomplete or no backup ({error})") from error
    missing = set(manifest.files) - found
    if missing or STORE not in found:
        raise BadBackup(file, f"it is incomplete: {', '.join(sorted(missing or {STORE}))} missing")
    return manifest


def _read_manifest(file: Path, tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    content = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if content is None or first is None or first.size > MANIFEST_LIMIT_BYTES:
        raise BadBackup(file, "it is no backup of Kobune's")
    raw = content.read()
    try:
        version = msgspec.json.decode(raw, type=dict[str, object]).get("format")
        if isinstance(version, int) and version > FORMAT:
            raise BadBackup(file, f"it has format {version}, this Kobune knows formats up to {FORMAT}: use a newer one")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise BadBackup(file, f"its manifest is damaged ({error})") from error
    for name in manifest.files:
        if not _NAME.fullmatch(name):
            raise BadBackup(file, f"it names {name!r}, which no backup has")
    return manifest


def _extract(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, manifest: Manifest, staged: Path) -> bool:
    """Write one member with its digest checked; False for the manifest itself."""
    if member.name == MANIFEST:
        return False
    expected = manifest.files.get(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if expected is None or content is None:
        raise BadBackup(file, f"it holds {member.name!r}, which its manifest does not name")
    target = staged / member.name
    digest = hashlib.sha256()
    mode = 0o644 if member.name.endswith(".crt") else 0o600
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as output:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            output.write(chunk)
        output.flush()
        os.fsync(output.fileno())
    if digest.hexdigest() != expected:
        raise BadBackup(file, f"{member.name} is damaged: its checksum differs")
    return True


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_member(name, len(content)), BytesIO(content))


def digest_of(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
