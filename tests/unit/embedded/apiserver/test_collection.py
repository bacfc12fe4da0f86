"""The watch cache: order, history, state in the past, watchers."""

import pytest

from kobune.embedded.apiserver.registry.collection import Change, Collection, Item, encode_object
from kobune.embedded.store import Compacted, Entry, Key


class Recorder:
    """A watcher that remembers."""

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace
        self.seen: list[tuple[str, int, bool]] = []

    def deliver(self, change: Change) -> None:
        self.seen.append((change.item.name, change.revision, change.deleted))

    def flush(self) -> None:
        """Nothing is queued."""


class World:
    """A collection that is written to."""

    def __init__(self) -> None:
        self.collection = Collection("core/pods")
        self.revision = 0

    def put(self, name: str, namespace: str = "n", *, deleted: bool = False, **labels: str) -> int:
        self.revision += 1
        obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}}
        kind, body = encode_object(obj, self.revision)
        known = self.collection.get(namespace, name)
        entry = Entry(
            self.revision,
            Key("core/pods", namespace, name),
            known.created if known else self.revision,
            known.revision if known else 0,
            deleted,
            kind,
            body,
        )
        self.collection.apply(entry)
        return self.revision


@pytest.fixture
def world() -> World:
    return World()


def names(world: World, namespace: str = "", after: tuple[str, str] | None = None) -> list[str]:
    return [item.name for item in world.collection.select(namespace, after)]


def test_objects_come_in_key_order_and_by_namespace(world: World) -> None:
    for name, namespace in (("b", "m"), ("c", "n"), ("a", "n"), ("z", "a")):
        world.put(name, namespace)
    assert names(world) == ["z", "b", "a", "c"]
    assert names(world, "n") == ["a", "c"]
    assert names(world, after=("m", "b")) == ["a", "c"]
    assert names(world, "n", after=("n", "a")) == ["c"]
    assert (world.collection.count(), world.collection.count("n"), world.collection.count("x")) == (4, 2, 0)


def test_stored_bytes_and_head_are_the_object(world: World) -> None:
    world.put("a", x="1")
    item = world.collection.get("n", "a")
    assert item is not None
    assert item.object() == {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "a", "namespace": "n", "labels": {"x": "1"}, "resourceVersion": "1"},
    }
    assert item.labels == {"x": "1"}
    assert item.field("metadata.labels.x") == "1"
    assert item.field("spec.nodeName") == ""


def test_history_gives_what_came_after_a_revision(world: World) -> None:
    world.put("a")
    second = world.put("b")
    world.put("a", deleted=True)
    assert [(c.item.name, c.deleted) for c in world.collection.since(second)] == [("a", True)]
    assert world.collection.since(world.revision) == []
    world.collection.forget(second)
    with pytest.raises(Compacted):
        world.collection.since(second - 1)


def test_the_past_can_be_listed(world: World) -> None:
    world.put("a")
    world.put("b")
    then = world.put("a", x="changed")
    world.put("b", deleted=True)
    world.put("c")
    past = world.collection.at(then)
    assert [(item.name, item.revision) for item in past] == [("a", 3), ("b", 2)]
    assert [item.name for item in world.collection.at(1)] == ["a"]


def test_watchers_get_their_namespace_only_and_nothing_after_they_left(world: World) -> None:
    everything, own = Recorder(), Recorder("n")
    world.collection.watch(everything)
    world.collection.watch(own)
    world.put("a", "n")
    world.put("b", "m")
    world.collection.unwatch(own)
    world.collection.unwatch(own)
    world.put("c", "n")
    assert own.seen == [("a", 1, False)]
    assert [name for name, _, _ in everything.seen] == ["a", "b", "c"]


def test_a_change_knows_the_state_before_it(world: World) -> None:
    changes: list[Change] = []
    world.collection.listen(changes.append)
    world.put("a", x="1")
    world.put("a", x="2")
    assert changes[0].previous is None
    assert changes[1].previous is not None
    assert changes[1].previous.labels == {"x": "1"}


def test_a_page_looks_at_no_more_than_it_needs(world: World) -> None:
    for number in range(20):
        world.put(f"p{number:02}", "n" if number % 2 else "m", kind="odd" if number % 3 else "even")
    assert [item.name for item in world.collection.select("n", None, 3)] == ["p01", "p03", "p05"]
    assert [item.name for item in world.collection.select("n", ("n", "p17"), 3)] == ["p19"]
    looked: list[str] = []

    def even(item: Item) -> bool:
        looked.append(item.name)
        return item.labels["kind"] == "even"

    found = world.collection.matching("", ("m", "p04"), 2, even)
    assert [item.name for item in found] == ["p06", "p12"]
    assert looked == ["p06", "p08", "p10", "p12"]
    assert world.collection.count("n", ("n", "p17")) == 1
    assert world.collection.count("m") == 10
    assert world.collection.count() == 20
