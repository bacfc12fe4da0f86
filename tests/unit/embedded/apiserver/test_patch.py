"""The three patch types."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.embedded.apiserver.patch import PatchError, json_patch, merge_patch, strategic_merge_patch
from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.schema.errors import quote

POD = next(r for r in resources() if r.kind == "Pod").schema.shape

SCALARS = st.integers(0, 3) | st.text("ab", max_size=2)
DOCUMENTS: st.SearchStrategy[Any] = st.dictionaries(
    st.text("xyz", min_size=1, max_size=1),
    st.recursive(
        SCALARS, lambda inner: st.dictionaries(st.text("xyz", min_size=1, max_size=1), inner, max_size=3), max_leaves=6
    ),
    max_size=3,
)


def difference(old: Any, new: Any) -> dict[str, Any]:
    """The merge patch from one document to another."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key in old and isinstance(old[key], dict) and isinstance(value, dict):
            patch[key] = difference(old[key], value)
        elif key not in old or old[key] != value or type(old[key]) is not type(value):
            patch[key] = value
    return patch


@given(DOCUMENTS, DOCUMENTS)
def test_a_merge_patch_of_the_difference_gives_the_new_document(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert merge_patch(old, difference(old, new)) == new
    assert old == before


def test_merge_patch_replaces_lists_and_drops_nulls_in_new_objects() -> None:
    assert merge_patch({"l": [1, 2]}, {"l": [3], "o": {"a": None, "b": 1}}) == {"l": [3], "o": {"b": 1}}
    with pytest.raises(PatchError) as caught:
        merge_patch({}, [1])
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/x", "value": 1}], {"a": {"x": 1}, "l": [1, 2]}),
        ([{"op": "replace", "path": "/a/new", "value": 1}], {"a": {"new": 1}, "l": [1, 2]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"a": {}, "l": [0, 1, 2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {}, "l": [1, 2, 3]}),
        ([{"op": "remove", "path": "/l/-1"}], {"a": {}, "l": [1]}),
        ([{"op": "move", "from": "/l", "path": "/a/m"}], {"a": {"m": [1, 2]}}),
        (
            [{"op": "copy", "from": "/l", "path": "/c"}, {"op": "remove", "path": "/c/0"}],
            {"a": {}, "l": [1, 2], "c": [2]},
        ),
        ([{"op": "test", "path": "/none", "value": None}], {"a": {}, "l": [1, 2]}),
        ([{"op": "add", "path": "/a/b~1c~0d", "value": 1}], {"a": {"b/c~d": 1}, "l": [1, 2]}),
    ],
)
def test_json_patch_operations(operations: Any, result: Any) -> None:
    doc = {"a": {}, "l": [1, 2]}
    assert json_patch(doc, operations) == result
    assert doc == {"a": {}, "l": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/l/0", "value": 9},
        {"op": "remove", "path": "/none"},
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "frobnicate", "path": "/l"},
        {"op": "add", "path": "l", "value": 1},
        {"op": "add", "path": "/x"},
    ],
)
def test_an_operation_that_does_not_fit_is_422_without_saying_why(operation: Any) -> None:
    with pytest.raises(PatchError) as caught:
        json_patch({"l": [1]}, [operation])
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert str(caught.value) == "the server rejected our request due to an error in our request"


def containers(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": list(entries)}}


A, B = {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}


@pytest.mark.parametrize(
    ("patch", "result"),
    [
        (containers({"name": "b", "image": "b:2"}), containers(A, {"name": "b", "image": "b:2"})),
        (containers({"name": "c"}), containers({"name": "c"}, A, B)),
        (containers({"$patch": "delete", "name": "a"}), containers(B)),
        (containers({"$patch": "replace"}, {"name": "z"}), containers({"name": "z"})),
        (
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                    "containers": [{"name": "a", "image": "a:2"}],
                }
            },
            containers(B, {"name": "a", "image": "a:2"}),
        ),
        ({"spec": {"$retainKeys": ["hostname"], "hostname": "h"}}, {"spec": {"hostname": "h"}}),
        ({"spec": {"containers": None}}, {"spec": {}}),
        ({"spec": {"$patch": "replace", "hostname": "h"}}, {"spec": {"hostname": "h"}}),
        ({"spec": {"tolerations": [{"key": "k"}]}}, {"spec": {"containers": [A, B], "tolerations": [{"key": "k"}]}}),
    ],
)
def test_strategic_merge(patch: Any, result: Any) -> None:
    doc = containers(dict(A), dict(B))
    assert strategic_merge_patch(doc, patch, POD) == result
    assert doc == containers(A, B)


def test_lists_of_scalars_are_united_and_taken_from() -> None:
    doc = {"metadata": {"finalizers": ["x/a", "x/b"]}}
    assert strategic_merge_patch(doc, {"metadata": {"finalizers": ["x/c", "x/a"]}}, POD)["metadata"]["finalizers"] == [
        "x/c",
        "x/a",
        "x/b",
    ]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["x/a"]}}
    assert strategic_merge_patch(doc, patch, POD) == {"metadata": {"finalizers": ["x/b"]}}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"metadata": {"labels": {"$patch": "explode"}}}, "unknown patch type: explode in map: map[$patch:explode]"),
        (containers({"image": "x"}), "map: map[image:x] does not contain declared merge key: name"),
    ],
)
def test_wrong_directives_are_internal_errors(patch: Any, message: str) -> None:
    with pytest.raises(PatchError) as caught:
        strategic_merge_patch(containers(dict(A)), patch, POD)
    assert (caught.value.code, str(caught.value)) == (500, message)


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcd"), unique=True))
def test_merging_containers_keeps_every_name_once(have: list[str], given_names: list[str]) -> None:
    doc = containers(*({"name": n} for n in have))
    merged = strategic_merge_patch(doc, containers(*({"name": n} for n in given_names)), POD)
    names = [c["name"] for c in merged["spec"]["containers"]]
    assert sorted(names) == sorted(set(have) | set(given_names))
    assert [n for n in names if n in given_names] == given_names


def test_what_a_patch_brings_stands_in_its_order() -> None:
    pod = {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}}
    order = [{"name": "b"}, {"name": "a"}]

    def patched(*entries: dict[str, Any]) -> Any:
        spec = {"$setElementOrder/containers": order, "containers": list(entries)}
        return strategic_merge_patch(pod, {"spec": spec}, POD)["spec"]["containers"]

    assert [c["name"] for c in patched({"name": "b", "image": "j"})] == ["b", "a"]
    assert [c["name"] for c in patched({"name": "a", "$patch": "delete"})] == ["b"]
    with pytest.raises(PatchError) as wrong:
        patched({"name": "c", "image": "j"})
    assert str(wrong.value) == (
        "The order in patch list:\n[map[image:j name:c]]\n doesn't match $setElementOrder list:\n"
        "[map[name:b] map[name:a]]\n"
    )
    with pytest.raises(PatchError):
        patched({"name": "a", "image": "j"}, {"name": "b", "image": "j"})


def test_values_are_quoted_as_go_does() -> None:
    assert quote('a\x00b\x07\n\x7f"é\\u0001\x0b') == '"a\\x00b\\a\\n\\x7f\\"é\\\\u0001\\v"'
