"""Selectors and merge patches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.api.meta import LabelSelector, LabelSelectorRequirement
from kobune.kube.client.merge import merge_diff, merge_patch
from kobune.kube.client.selectors import SelectorError, parse_fields, parse_labels, render_selector

values = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=2), values, max_size=4)


@given(objects, objects)
def test_a_difference_turns_the_old_into_the_new(old: dict[str, object], new: dict[str, object]) -> None:
    # A merge patch cannot say "an empty object instead of something that is no object", nor can it empty an object by
    # replacing it: both come out the same way for what is compared here.
    assert merge_patch(old, merge_diff(old, new)) == new


@given(objects)
def test_equal_objects_have_no_difference(obj: dict[str, object]) -> None:
    assert merge_diff(obj, obj) == {}


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("", {}, True),
        ("a=1", {"a": "1"}, True),
        ("a==1", {"a": "2"}, False),
        ("a!=1", {}, True),
        ("a in (1, 2),b", {"a": "2", "b": ""}, True),
        ("a notin (1,2)", {"a": "3"}, True),
        ("!a", {"a": ""}, False),
        ("example.com/x-y_z", {"example.com/x-y_z": "v"}, True),
    ],
)
def test_label_selectors(selector: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_labels(selector)(labels) is matches


def test_field_selectors_read_paths() -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "hostNetwork": True}}
    assert parse_fields("spec.nodeName=n,metadata.name!=q,spec.hostNetwork=true,status.phase=")(pod)
    assert not parse_fields("spec.nodeName!=n")(pod)


@pytest.mark.parametrize("text", ["a in", "=", "a=b=c d", "a b"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(SelectorError):
        parse_labels(text)({})


def test_a_selector_object_becomes_text() -> None:
    requirements = [
        LabelSelectorRequirement(key="b", operator="In", values=["1", "2"]),
        LabelSelectorRequirement(key="c", operator="DoesNotExist"),
    ]
    selector = LabelSelector(match_labels={"a": "1"}, match_expressions=requirements)
    assert render_selector(selector) == "a=1,b in (1,2),!c"
