"""Layers and OCI archives, byte for byte the same for the same content.

Owns tar headers, digests and the OCI image layout. Knows nothing of what is in an image.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "EPOCH_S",
    "Entry",
    "ImageConfig",
    "Layer",
    "layer_from_file",
    "tree_entries",
    "write_archive",
    "write_layer",
]

# Every time stamp in an image: 2025-01-01T00:00:00Z.
EPOCH_S = 1_735_689_600
_CREATED = "2025-01-01T00:00:00Z"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Entry:
    """One member of a layer: a file (`content` bytes or a `Path` to read), a symbolic link, or a directory."""

    path: str
    content: bytes | Path | None = None
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Layer:
    """An uncompressed layer tar on disk with its sha256 (hex) and size in bytes."""

    path: Path
    digest: str
    size: int


@dataclass(frozen=True)
class ImageConfig:
    """The run-time part of an image's configuration."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    user: str = ""
    workdir: str = "/"
    labels: Mapping[str, str] = field(default_factory=dict)


class _Hashing:
    """A writable stream that counts and hashes what passes."""

    def __init__(self, target: BinaryIO) -> None:
        self.target = target
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.target.write(data)


def tree_entries(root: Path, *, prefix: str = "", uid: int = 0, gid: int = 0) -> list[Entry]:
    """The files, links and directories below `root`, sorted, owned by uid:gid; modes are kept."""
    entries = []
    for path in sorted(root.rglob("*")):
        name = prefix + path.relative_to(root).as_posix()
        if path.is_symlink():
            entries.append(Entry(name, link=os.readlink(path), uid=uid, gid=gid))
        elif path.is_dir():
            entries.append(Entry(name, mode=path.stat().st_mode & 0o7777, uid=uid, gid=gid))
        elif path.is_file():
            entries.append(Entry(name, path, mode=path.stat().st_mode & 0o7777, uid=uid, gid=gid))
    return entries


def write_layer(target: Path, entries: Iterable[Entry]) -> Layer:
    """Write a layer; directories that entries need and nobody listed are added (root, 0755)."""
    known: set[str] = set()
    with open(target, "wb") as raw:
        out = _Hashing(raw)
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
            for entry in entries:
                for parent in reversed(Path(entry.path).parents):
                    if str(parent) != "." and str(parent) not in known:
                        known.add(str(parent))
                        _add(tar, Entry(str(parent), mode=0o755))
                if entry.content is None and not entry.link:
                    if entry.path in known:
                        continue
                    known.add(entry.path)
                _add(tar, entry)
    return Layer(target, out.sha256.hexdigest(), out.size)


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mtime, info.mode, info.uid, info.gid = EPOCH_S, entry.mode, entry.uid, entry.gid
    if entry.link:
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
        tar.addfile(info)
    elif entry.content is None:
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif isinstance(entry.content, bytes):
        info.size = len(entry.content)
        tar.addfile(info, io.BytesIO(entry.content))
    else:
        info.size = entry.content.stat().st_size
        with open(entry.content, "rb") as source:
            tar.addfile(info, source)


def layer_from_file(path: Path) -> Layer:
    """The layer that a tar on disk is; reads it once for its digest."""
    with open(path, "rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return Layer(path, digest, path.stat().st_size)


def write_archive(target: Path, reference: str, layers: list[Layer], config: ImageConfig) -> None:
    """Write an OCI archive (image layout in a tar) that `ctr images import` registers as `reference`."""
    config_blob = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "config": _run_config(config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in layers]},
            "history": [{"created": _CREATED, "created_by": "kobune images"} for _ in layers],
        }
    )
    manifest_blob = _json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, config_blob),
            "layers": [
                {"mediaType": _LAYER, "digest": f"sha256:{layer.digest}", "size": layer.size} for layer in layers
            ],
        }
    )
    names = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    platform = {"architecture": "amd64", "os": "linux"}
    index = {
        "schemaVersion": 2,
        "manifests": [_descriptor(_MANIFEST, manifest_blob) | {"platform": platform, "annotations": names}],
    }
    with open(target, "wb") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, Entry("oci-layout", _json({"imageLayoutVersion": "1.0.0"})))
        _add(tar, Entry("index.json", _json(index)))
        for blob in (manifest_blob, config_blob):
            _add(tar, Entry(f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob))
        for layer in {layer.digest: layer for layer in layers}.values():
            # The bulk is copied inside the kernel: an unchanged base layer costs a fraction of a second.
            _add_file_fast(tar, raw, f"blobs/sha256/{layer.digest}", layer.path)


def _add_file_fast(tar: tarfile.TarFile, raw: BinaryIO, name: str, path: Path) -> None:
    info = tarfile.TarInfo(name)
    info.mtime, info.mode, info.size = EPOCH_S, 0o644, path.stat().st_size
    tar.addfile(info)
    raw.flush()
    with open(path, "rb") as source:
        copied = 0
        while copied < info.size:
            try:
                count = os.copy_file_range(source.fileno(), raw.fileno(), info.size - copied)
            except OSError:
                source.seek(copied)
                shutil.copyfileobj(source, raw, 1 << 20)
                break
            if count == 0:
                raise OSError(f"{path} became shorter while it was read")
            copied += count
    raw.seek(0, os.SEEK_END)
    padding = -info.size % tarfile.BLOCKSIZE
    raw.write(b"\0" * padding)
    # TarFile counts what it has written itself; it pads the archive's end by this.
    tar.offset += info.size + padding


def _run_config(config: ImageConfig) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "Env": list(config.env),
        "User": config.user,
        "WorkingDir": config.workdir,
        "Labels": dict(config.labels),
    }
    return {key: value for key, value in parts.items() if value}


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(blob).hexdigest()}", "size": len(blob)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
