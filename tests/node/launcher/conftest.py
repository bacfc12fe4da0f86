"""The launcher image's root file system and the demo guest's disk, unpacked once per session."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kobune.main.images import DEMO, LAUNCHER, BuiltImage, ensure_images
from support.launcher_container import LauncherContainer


@pytest.fixture(scope="session")
def built_images() -> dict[str, BuiltImage]:
    if os.geteuid() != 0:
        pytest.fail("node tests need root")
    cache = Path(os.environ.get("KOBUNE_TEST_IMAGES", "/var/cache/kobune/images"))
    return asyncio.run(ensure_images(cache, (LAUNCHER, DEMO), print))


@pytest.fixture(scope="session")
def launcher_root(built_images: dict[str, BuiltImage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("launcher-root")
    root.chmod(0o755)
    for folder in (root.parent, root.parent.parent):
        folder.chmod(0o755)
    unpack(built_images[LAUNCHER].archive, root)
    yield root
    subprocess.run(["rm", "-rf", str(root)], check=True)


@pytest.fixture(scope="session")
def demo_disk(built_images: dict[str, BuiltImage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    unpack(built_images[DEMO].archive, root)
    (disk,) = (root / "disk").iterdir()
    return disk


@pytest.fixture
async def container(launcher_root: Path, demo_disk: Path, tmp_path: Path) -> AsyncIterator[LauncherContainer]:
    container = LauncherContainer(launcher_root, tmp_path)
    container.add_container_disk("root", demo_disk)
    container.start()
    yield container
    container.stop()
    print(container.log.read_text(errors="replace")[-20_000:])


def unpack(archive: Path, root: Path) -> None:
    """Unpack an OCI archive's layers, bottom to top."""

    def read(name: str) -> bytes:
        return subprocess.run(["tar", "-xOf", str(archive), name], check=True, capture_output=True).stdout

    def blob(digest: str) -> str:
        return "blobs/" + digest.replace(":", "/")

    index = json.loads(read("index.json"))
    manifest = json.loads(read(blob(index["manifests"][0]["digest"])))
    for layer in manifest["layers"]:
        with subprocess.Popen(["tar", "-xOf", str(archive), blob(layer["digest"])], stdout=subprocess.PIPE) as source:
            subprocess.run(["tar", "-xf", "-", "-C", str(root)], stdin=source.stdout, check=True)
        assert source.returncode == 0
