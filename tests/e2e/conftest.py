"""One instance for all end-to-end tests; the machine is as before when they are over."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance

IMAGE_CACHE = Path(os.environ.get("KOBUNE_TEST_IMAGE_CACHE", "/var/cache/kobune/images"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.e2e)
        item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="package")
def instance() -> Iterator[Instance]:
    if os.geteuid() != 0:
        pytest.fail("end-to-end tests need root: they run containers, networks and guests")
    instance = Instance(
        data_dir=Path(os.environ.get("KOBUNE_TEST_DATA_DIR", "/var/lib/kobune-test")),
        image_cache=IMAGE_CACHE,
        more_images=("demo-generic",),
    )
    if instance.data_dir.exists():
        instance.down("--purge", "--grace-period=0")
    instance.up()
    try:
        yield instance
    finally:
        logs = os.environ.get("KOBUNE_TEST_LOGS")
        if logs:
            shutil.copytree(instance.data_dir / "logs", logs, dirs_exist_ok=True)
        instance.down("--purge", "--grace-period=1")
