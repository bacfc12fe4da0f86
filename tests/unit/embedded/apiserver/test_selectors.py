"""Label and field selectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.embedded.apiserver.registry.selectors import (
    SelectorError,
    from_label_selector,
    parse_fields,
    parse_labels,
)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("a in (x, y)", {"a": "y"}, True),
        ("a notin (x)", {}, True),
        ("a notin (x)", {"a": "x"}, False),
        ("n>5", {"n": "12"}, True),
        ("n<5", {"n": "12"}, False),
        ("n>5", {"n": "many"}, False),
        ("a=", {"a": ""}, True),
        ("a in (x,)", {"a": ""}, True),
        ("a=b,c", {"a": "b", "c": "d"}, True),
        ("example.com/a=b", {"example.com/a": "b"}, True),
    ],
)
def test_label_selectors_match(text: str, labels: dict[str, str], expected: bool) -> None:
    assert parse_labels(text).matches(labels) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("env in dev", "unable to parse requirement: found 'dev' expected: '('"),
        ("bad key", "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt"),
        ("a,,b", "found ',', expected: identifier after ','"),
    ],
)
def test_malformed_label_selectors_are_refused_with_the_apis_words(text: str, message: str) -> None:
    with pytest.raises(SelectorError) as error:
        parse_labels(text)
    assert str(error.value) == message


def test_field_selectors_match_and_unescape() -> None:
    fields = {"metadata.name": "a,b", "spec.nodeName": ""}
    assert parse_fields(r"metadata.name=a\,b,spec.nodeName=").matches(lambda path: fields.get(path, ""))
    assert not parse_fields("metadata.name!=a\\,b").matches(lambda path: fields.get(path, ""))
    assert parse_fields("metadata.name=x,spec.y!=z").name == "x"


def test_a_malformed_field_selector_is_refused() -> None:
    with pytest.raises(SelectorError, match=r"can't understand 'metadata\.name'"):
        parse_fields("metadata.name")


def test_selector_objects() -> None:
    assert from_label_selector(None) is None
    selector = from_label_selector(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}
    )
    assert selector is not None
    assert selector.matches({"a": "b"})
    assert not selector.matches({"a": "b", "c": ""})


@given(st.text(max_size=60))
def test_any_text_either_parses_or_is_refused(text: str) -> None:
    for parse in (parse_labels, parse_fields):
        try:
            parse(text)
        except SelectorError:
            continue
