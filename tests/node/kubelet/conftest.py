"""containerd for the tests of this folder, one per test module's event loop."""

from collections.abc import AsyncIterator

import pytest_asyncio

from support.containerd import TestNode, skip_without_containerd
from support.containerd import test_node as running_node


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node() -> AsyncIterator[TestNode]:
    skip_without_containerd()
    async with running_node() as made:
        yield made
