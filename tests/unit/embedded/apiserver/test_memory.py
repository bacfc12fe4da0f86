"""Memory given back when it is quiet, and OpenAPI documents kept small."""

import asyncio
import gc

import msgspec
import pytest

from kobune.embedded.apiserver import memory
from kobune.embedded.apiserver.http.message import Peer, Request, Response
from kobune.embedded.apiserver.memory import MemoryCare
from kobune.embedded.apiserver.openapi_answers import OpenApiAnswers
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.schema import builtin
from kobune.embedded.store import MemoryJournal, RevisionLog


async def test_one_tidying_follows_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "QUIET_S", 0.02)
    settled = asyncio.Event()
    count = 0

    def settle() -> None:
        nonlocal count
        count += 1
        settled.set()

    monkeypatch.setattr(memory, "settle", settle)
    care = MemoryCare()
    task = asyncio.create_task(care.run())
    try:
        for _ in range(5):
            care.note()
        async with asyncio.timeout(5):
            await settled.wait()
        await asyncio.sleep(0.05)
        assert count == 1
    finally:
        task.cancel()


def test_settling_collects_cycles_and_keeps_the_rest_out_of_the_way() -> None:
    thresholds = gc.get_threshold()
    try:
        memory.settle()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_a_document_is_built_once_per_set_of_resources() -> None:
    storage = Storage(RevisionLog(MemoryJournal()))
    storage.open()
    registry = Registry(storage)
    infos = [info for info in builtin.resources() if info.group == "coordination.k8s.io"]
    registry.add(infos[0])
    built: list[None] = []
    answers = OpenApiAnswers(registry, lambda: built.append(None))
    request = Request("GET", "/openapi/v2", [], b"", Peer())
    first, second = [await answers.answer(request, ["v2"]) for _ in range(2)]
    assert isinstance(first, Response)
    assert isinstance(second, Response)
    assert first.body == second.body
    assert "paths" in msgspec.json.decode(first.body)
    assert len(built) == 1
    for info in builtin.resources():
        registry.add(info)
    third = await answers.answer(request, ["v2"])
    assert isinstance(third, Response)
    assert len(third.body) > len(first.body)
    assert len(built) == 2
