"""Reading bodies: duplicates, YAML's numbers, the words of errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.embedded.apiserver.schema.strict import BodyError, read_json, read_yaml

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_json_without_duplicates_reads_as_it_was_written(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == (value, [])
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == (value, [])


def test_duplicate_keys_are_named_and_the_last_wins() -> None:
    value, duplicates = read_json(b'{"metadata":{"name":"a","name":"b"},"data":[{"x":1,"x":2}]}')
    assert value == {"metadata": {"name": "b"}, "data": [{"x": 2}]}
    assert duplicates == ["metadata.name", "data[0].x"]


def test_a_lone_surrogate_becomes_the_replacement_character() -> None:
    assert read_json(b'{"a":"\\ud800"}') == ({"a": "\ufffd"}, [])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "unexpected end of JSON input"),
        (b"", "unexpected end of JSON input"),
        (b'{"a": }', "invalid character '}' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b"[" * 100000 + b"]" * 100000, "exceeded max depth"),
    ],
)
def test_malformed_json_is_described_as_go_does(body: bytes, message: str) -> None:
    with pytest.raises(BodyError) as caught:
        read_json(body)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1e3", {"a": 1000}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 2001-01-01", {"a": "2001-01-01"}),
        ("a: 0x10", {"a": 16}),
        ("a: .5", {"a": 0.5}),
        ("a: '5'", {"a": "5"}),
        ("1: x", {"1": "x"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: 1\n---\na: 2\n", {"a": 1}),
    ],
)
def test_yaml_reads_as_the_real_servers_library_does(text: str, value: Any) -> None:
    assert read_yaml(text.encode()) == (value, [])


def test_yaml_duplicates_are_reported_with_their_line() -> None:
    value, messages = read_yaml(b"a: 1\nb: 2\na: 3\n")
    assert value == {"a": 3, "b": 2}
    assert messages == ['line 3: key "a" already set in map']


def test_malformed_yaml_is_a_body_error() -> None:
    with pytest.raises(BodyError, match="error converting YAML to JSON"):
        read_yaml(b"a: [")
