"""Which images are built, when, and what they are called."""

import asyncio
import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import kobune
from kobune.host.run import CommandNotFound, Launch, RunningProcess
from kobune.host.run.fake import FakeProcess, FakeRunner
from kobune.main import images
from kobune.main.images import DEMO, LAUNCHER, NODE_IMAGES, PAUSE, TOOLBOX, ImageError, ensure_images, image_reference

ROOT = Path(__file__).resolve().parents[3]
ALL = (PAUSE, LAUNCHER, DEMO, TOOLBOX)


class Builder(FakeRunner):
    """Plays build.py: writes the archive that it is asked for, or fails as told."""

    def __init__(self, *, status: int = 0, words: bytes = b"", writes: bool = True) -> None:
        super().__init__()
        self.built: list[str] = []
        self.status, self.words, self.writes = status, words, writes

    async def start(self, launch: Launch) -> RunningProcess:
        name = launch.args[3]
        self.built.append(name)
        await asyncio.sleep(0)
        out = next(Path(arg.removeprefix("--out=")) for arg in launch.args if arg.startswith("--out="))
        if callable(launch.stdout):
            launch.stdout(b"unpacking")
        if callable(launch.stderr) and self.words:
            launch.stderr(self.words)
        if self.writes and self.status == 0:
            out.write_text(name)
        process = FakeProcess(launch, 1)
        process.end(self.status)
        return process


async def test_the_second_time_nothing_is_built(tmp_path: Path) -> None:
    builder, lines = Builder(), list[str]()
    first = await ensure_images(tmp_path, ALL, lines.append, builder)
    assert sorted(builder.built) == sorted(ALL)
    assert all(image.archive.read_text() == name for name, image in first.items())
    assert any(re.fullmatch(r"image pause: built in \d+\.\d s", line) for line in lines)
    again = await ensure_images(tmp_path, ALL, lines.append, builder)
    assert again == first
    assert sorted(builder.built) == sorted(ALL)


async def test_two_at_once_build_once(tmp_path: Path) -> None:
    builder = Builder()
    await asyncio.gather(*(ensure_images(tmp_path, [PAUSE], runner=builder) for _ in range(3)))
    assert builder.built == [PAUSE]


async def test_an_archive_of_older_content_is_removed_when_nobody_can_be_importing_it(tmp_path: Path) -> None:
    old = tmp_path / "demo-0123456789ab.tar"
    recent = tmp_path / "demo-ab0123456789.tar"
    notes = tmp_path / "demo-notes.tar"
    for path in (old, recent, notes):
        path.write_text("old")
    for path in (old, notes):
        os.utime(path, (0, 0))
    await ensure_images(tmp_path, [DEMO], runner=Builder())
    assert [path.exists() for path in (old, recent, notes)] == [False, True, True]


async def test_a_failure_says_which_image_and_what_the_recipe_said(tmp_path: Path) -> None:
    builder = Builder(status=1, words=b"programs are missing; run: apt-get install -y mmdebstrap")
    with pytest.raises(ImageError, match=r"image demo could not be built: .*apt-get install -y mmdebstrap"):
        await ensure_images(tmp_path, [DEMO], runner=builder)
    assert [path.name for path in tmp_path.glob("*")] == ["lock"]  # noqa: ASYNC240


async def test_a_recipe_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="wrote no"):
        await ensure_images(tmp_path, [DEMO], runner=Builder(writes=False))


async def test_a_build_that_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[FakeProcess] = []

    class Stuck(FakeRunner):
        async def start(self, launch: Launch) -> RunningProcess:
            started.append(FakeProcess(launch, 1))
            return started[0]

    monkeypatch.setattr(images, "BUILD_TIMEOUT_S", 0.01)
    with pytest.raises(ImageError, match="was not built within"):
        await ensure_images(tmp_path, [PAUSE], runner=Stuck())
    assert started[0].returncode is not None


async def test_without_an_interpreter_the_error_is_passed_on(tmp_path: Path) -> None:
    class Nothing(FakeRunner):
        async def start(self, launch: Launch) -> RunningProcess:
            raise CommandNotFound(launch.args)

    with pytest.raises(CommandNotFound):
        await ensure_images(tmp_path, [PAUSE], runner=Nothing())


def test_references_are_those_that_containerd_makes_of_what_pods_say() -> None:
    assert image_reference(DEMO) == "docker.io/kobune/demo:latest"
    for name in (PAUSE, LAUNCHER):
        assert re.fullmatch(rf"localhost/kobune/{name}:[0-9a-f]{{12}}", image_reference(name))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ImageError, match="demo, demo-generic, pause, toolbox, virt-launcher"):
        image_reference("demon")


def test_a_changed_input_or_source_is_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "kobune"
    shutil.copytree(ROOT / "images", package / "_images", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "src/kobune/base", package / "base", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "_package_dir", lambda: package)

    def tags() -> dict[str, str]:
        images._described.cache_clear()
        return {name: images._described(name)[0] for name in ALL}

    try:
        before = tags()
        (package / "base" / "__pycache__").mkdir()
        (package / "base" / "__pycache__" / "ids.pyc").write_bytes(b"x")
        assert tags() == before
        (package / "base" / "more.py").write_text("")
        after_source = tags()
        assert {name for name in ALL if after_source[name] != before[name]} == {LAUNCHER}
        (package / "_images/demo/rootfs/etc/motd").write_text("other")
        after_input = tags()
        assert {name for name in ALL if after_input[name] != after_source[name]} == {DEMO}
    finally:
        images._described.cache_clear()


def test_every_pattern_of_the_description_finds_something_and_the_recipes_are_all_inputs() -> None:
    described = tomllib.loads((ROOT / "images/images.toml").read_text())
    package = Path(kobune.__file__ or "").parent
    used: set[Path] = set()
    for about in described.values():
        for root, patterns in ((ROOT / "images", about["inputs"]), (package, about.get("sources", []))):
            for pattern in patterns:
                found = images._files(root, [pattern])
                assert found, pattern
                used.update(found)
    ours = set(images._files(ROOT / "images", ["*", "[a-z]*/**/*"]))
    # The driver and the description don't decide what is in an image.
    outside = {"images.toml", "build.py", "kobune_images/__init__.py", "kobune_images/context.py"}
    assert {path.relative_to(ROOT / "images").as_posix() for path in ours - used} == outside


def test_the_launcher_image_has_no_code_that_speaks_to_the_api() -> None:
    sources = tomllib.loads((ROOT / "images/images.toml").read_text())[LAUNCHER]["sources"]
    package = Path(kobune.__file__ or "").parent
    names = {path.relative_to(package).as_posix() for path in images._files(package, sources)}
    assert "virt/launcher/run.py" in names
    assert "virt/launcher/virt-launcher-monitor" in names
    assert not {name for name in names if name.startswith(("kube/", "main/", "embedded/", "virt/handler", "operator/"))}


def test_the_node_needs_no_toolbox() -> None:
    assert NODE_IMAGES == (PAUSE, LAUNCHER, DEMO)
