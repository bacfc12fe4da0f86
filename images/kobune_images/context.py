"""What a recipe is given and what it returns."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kobune_images.archive import ImageConfig, Layer, layer_from_file

__all__ = ["Build", "Image"]


@dataclass(frozen=True)
class Image:
    """A recipe's result: layers from bottom to top, and how to run it."""

    layers: list[Layer]
    config: ImageConfig


@dataclass(frozen=True)
class Build:
    """One run of a recipe.

    `images`: the folder of the recipes; `package`: the folder of the kobune package; `sources`: its files that belong
    in the image, relative; `work`: an empty folder that vanishes afterwards; `cache`: where costly layers are kept.
    """

    images: Path
    package: Path
    sources: tuple[str, ...]
    work: Path
    cache: Path
    say: Callable[[str], None]

    def cached_layer(self, name: str, inputs: Iterable[Path], make: Callable[[Path], None]) -> Layer:
        """The layer that `make` writes to the path it gets, made once per content of the `inputs`."""
        sha256 = hashlib.sha256(name.encode())
        for path in sorted(inputs):
            sha256.update(hashlib.sha256(path.read_bytes()).digest())
        tar = self.cache / f"{name}-{sha256.hexdigest()[:16]}.tar"
        record = tar.with_suffix(".digest")
        if tar.exists() and record.exists():
            digest, size = record.read_text().split()
            if tar.stat().st_size == int(size):
                return Layer(tar, digest, int(size))
        self.cache.mkdir(parents=True, exist_ok=True)
        partial = self.cache / f".{tar.name}.{os.getpid()}"
        try:
            make(partial)
            layer = layer_from_file(partial)
            os.replace(partial, tar)
        finally:
            partial.unlink(missing_ok=True)
        record.write_text(f"{layer.digest} {layer.size}")
        for old in self.cache.glob(f"{name}-*"):
            if old not in (tar, record):
                old.unlink(missing_ok=True)
        return Layer(tar, layer.digest, layer.size)
