"""Informers: caches that converge to what the API holds, whatever happens to the watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kobune.api.core import ConfigMap
from kobune.kube.client.core import CONFIG_MAPS
from kobune.kube.client.errors import Unavailable
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.informer import Informer, InformerPool, by_controller_uid, by_label, by_owner_uid
from kobune.kube.testing import FakeApi, Fault, eventually

A, B = Key("default", "a"), Key("default", "b")


def config_map(key: Key, value: str = "1", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": key.name, "namespace": key.namespace, **metadata}, "data": {"v": value}}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def informer(api: FakeApi) -> AsyncIterator[Informer[ConfigMap]]:
    informer = Informer(api, CONFIG_MAPS, indexes={"owner": by_owner_uid, "label": by_label("app")})
    task = asyncio.create_task(informer.run())
    yield informer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def names(informer: Informer[ConfigMap]) -> dict[str, str]:
    return {item.metadata.name: item.data["v"] for item in informer.list()}


async def test_it_lists_then_follows_changes(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    api.seed(CONFIG_MAPS, config_map(A))
    await informer.wait_synced(5)
    await eventually(lambda: names(informer) == {"a": "1"}, "the first object arrives")
    api.seed(CONFIG_MAPS, config_map(B))
    await api.patch(CONFIG_MAPS, "a", Patch.merge({"data": {"v": "2"}}), "default")
    await eventually(lambda: names(informer) == {"a": "2", "b": "1"}, "changes arrive")
    await api.delete(CONFIG_MAPS, "a", "default")
    await eventually(lambda: names(informer) == {"b": "1"}, "the deletion arrives")
    assert informer.relists == 1


def value(item: ConfigMap | None) -> str | None:
    return item.data["v"] if item is not None else None


async def test_handlers_see_old_and_new(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    seen: list[tuple[str | None, str | None]] = []
    informer.add_handler(lambda old, new: seen.append((value(old), value(new))))
    await informer.wait_synced(5)
    api.seed(CONFIG_MAPS, config_map(A))
    api.edit(CONFIG_MAPS, A, lambda doc: doc["data"].update(v="2"))
    await api.delete(CONFIG_MAPS, "a", "default")
    await eventually(lambda: len(seen) == 3, "three changes")
    assert seen == [(None, "1"), ("1", "2"), ("2", None)]


async def test_a_late_handler_gets_what_is_cached(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    api.seed(CONFIG_MAPS, config_map(A))
    await eventually(lambda: len(informer) == 1, "the object arrives")
    seen: list[str] = []
    informer.add_handler(lambda _, new: seen.append(new.metadata.name if new else "-"))
    assert seen == ["a"]


async def test_a_failing_handler_does_not_stop_the_others(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    seen: list[str] = []

    def fail(_old: object, _new: object) -> None:
        raise ValueError("broken handler")

    informer.add_handler(fail)
    informer.add_handler(lambda _, new: seen.append(new.metadata.name if new else "-"))
    api.seed(CONFIG_MAPS, config_map(A))
    await eventually(lambda: seen == ["a"], "the second handler is called")


async def test_a_broken_watch_is_resumed_without_a_new_list(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    await informer.wait_synced(5)
    await eventually(lambda: any(request.verb == "watch" for request in api.requests), "it watches")
    api.disconnect_watches()
    api.seed(CONFIG_MAPS, config_map(A))
    await eventually(lambda: names(informer) == {"a": "1"}, "the change arrives")
    assert informer.relists == 1


async def test_a_forgotten_revision_is_listed_again_as_changes(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    api.seed(CONFIG_MAPS, config_map(A))
    api.seed(CONFIG_MAPS, config_map(B))
    await eventually(lambda: len(informer) == 2, "both arrive")
    seen: list[tuple[str, str]] = []

    def remember(old: ConfigMap | None, new: ConfigMap | None) -> None:
        obj = new or old
        assert obj is not None
        kind = "deleted" if new is None else "added" if old is None else "changed"
        seen.append((kind, obj.metadata.name))

    api.hold_watches("configmaps")
    await asyncio.sleep(0)
    informer.add_handler(remember)
    seen.clear()
    api.edit(CONFIG_MAPS, A, lambda doc: doc["data"].update(v="2"))
    await api.delete(CONFIG_MAPS, "b", "default")
    api.seed(CONFIG_MAPS, config_map(B, "again"))
    api.compact()
    api.release_watches("configmaps")
    await eventually(lambda: names(informer) == {"a": "2", "b": "again"}, "the list is taken over")
    assert informer.relists == 2
    # `b` is another object under the old name: handlers must see the old one go.
    assert sorted(seen) == [("added", "b"), ("changed", "a"), ("deleted", "b")]


async def test_failing_lists_are_tried_again(api: FakeApi) -> None:
    api.seed(CONFIG_MAPS, config_map(A))
    api.faults.add(Fault("list", "configmaps", Unavailable(503, "ServiceUnavailable", "not now"), times=2))
    informer = Informer(api, CONFIG_MAPS)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced(5)
    assert names(informer) == {"a": "1"}
    task.cancel()


async def test_indexes_follow_the_objects(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u1"}
    api.seed(CONFIG_MAPS, config_map(A, labels={"app": "x"}, ownerReferences=[owner]))
    await eventually(lambda: len(informer) == 1, "the object arrives")
    assert [item.metadata.name for item in informer.by_index("owner", "u1")] == ["a"]
    assert [item.metadata.name for item in informer.by_index("label", "x")] == ["a"]
    api.edit(CONFIG_MAPS, A, lambda doc: doc["metadata"].update(labels={"app": "y"}, ownerReferences=[]))
    await eventually(lambda: bool(informer.by_index("label", "y")), "the index follows")
    assert list(informer.by_index("label", "x")) == []
    assert list(informer.by_index("owner", "u1")) == []
    informer.add_index("controller", by_controller_uid)
    assert list(informer.by_index("controller", "u1")) == []


async def test_it_waits_for_our_own_write(api: FakeApi, informer: Informer[ConfigMap]) -> None:
    await informer.wait_synced(5)
    api.hold_watches("configmaps")
    created = await api.create(CONFIG_MAPS, config_map(A), "default")
    version = created.metadata.resource_version
    assert not informer.has_seen(A, version)
    assert not await informer.wait_seen(A, version, timeout_s=0.02)
    waiting = asyncio.create_task(informer.wait_seen(A, version, timeout_s=5))
    await asyncio.sleep(0)
    api.release_watches("configmaps")
    assert await waiting
    assert informer.has_seen(A, version)
    # A deletion is seen once the object is gone, marked or another one.
    assert not informer.has_seen(A, "", created.metadata.uid)
    await api.delete(CONFIG_MAPS, "a", "default")
    assert await informer.wait_seen(A, "", created.metadata.uid, timeout_s=5)


async def test_selections_are_respected(api: FakeApi) -> None:
    informer = Informer(api, CONFIG_MAPS, namespace="default", label_selector="app=x")
    api.seed(CONFIG_MAPS, config_map(A, labels={"app": "x"}))
    api.seed(CONFIG_MAPS, config_map(B, labels={"app": "y"}))
    api.seed(CONFIG_MAPS, config_map(Key("other", "c"), labels={"app": "x"}))
    task = asyncio.create_task(informer.run())
    await informer.wait_synced(5)
    assert names(informer) == {"a": "1"}
    assert informer.selects(informer.list()[0])
    b = api.peek(CONFIG_MAPS, B)
    assert b is not None
    assert not informer.selects(b)
    api.edit(CONFIG_MAPS, A, lambda doc: doc["metadata"].update(labels={"app": "z"}))
    await eventually(lambda: names(informer) == {}, "what left the selection is gone")
    task.cancel()


async def test_a_pool_shares_equal_selections_and_starts_late_ones(api: FakeApi) -> None:
    pool = InformerPool(api)
    first = pool.of(CONFIG_MAPS, indexes={"label": by_label("app")})
    assert pool.of(CONFIG_MAPS) is first
    assert pool.of(CONFIG_MAPS, namespace="default") is not first
    assert pool.find("", "configmaps") is first
    assert pool.find("", "secrets") is None
    running = asyncio.create_task(pool.run())
    await pool.wait_synced(5)
    late = pool.of(CONFIG_MAPS, label_selector="x=y")
    await late.wait_synced(5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_waiting_for_a_list_that_never_comes_names_the_resource(api: FakeApi) -> None:
    with pytest.raises(TimeoutError, match="configmaps were not listed"):
        await Informer(api, CONFIG_MAPS).wait_synced(0.01)
