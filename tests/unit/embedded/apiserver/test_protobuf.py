"""Protobuf bodies: the envelope and the API's special types."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.embedded.apiserver.protobuf import ProtobufError, decode_object
from kobune.embedded.apiserver.protobuf.messages import ROOTS, _messages, fields


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + data(1, data(1, api_version) + data(2, kind)) + data(2, raw)


def test_a_secret_with_maps_and_bytes() -> None:
    meta = data(1, "s") + data(8, b"") + data(11, data(1, "a") + data(2, "b"))
    body = envelope("v1", "Secret", data(1, meta) + data(2, data(1, "k") + data(2, b"\x00\xff")) + data(3, "Opaque"))
    assert decode_object(body, "v1", "Secret") == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "labels": {"a": "b"}},
        "data": {"k": base64.b64encode(b"\x00\xff").decode()},
        "type": "Opaque",
    }


def test_ports_by_number_and_by_name_negative_numbers_and_times() -> None:
    by_number = data(4, number(1, 0) + number(2, 8080))
    by_name = data(4, number(1, 1) + data(3, "web"))
    spec = data(1, number(3, 80) + by_number) + data(1, number(3, -1) + by_name)
    meta = data(8, number(1, 981173106))
    service = decode_object(envelope("v1", "Service", data(1, meta) + data(2, spec)), "v1", "Service")
    assert service["metadata"]["creationTimestamp"] == "2001-02-03T04:05:06Z"
    assert service["spec"]["ports"] == [{"port": 80, "targetPort": 8080}, {"port": -1, "targetPort": "web"}]


def test_inlined_messages_belong_to_the_outer_object() -> None:
    http = data(1, data(1, data(1, "/")))
    rule = data(1, "example.com") + data(2, http)
    body = envelope("networking.k8s.io/v1", "Ingress", data(2, data(3, rule)))
    ingress = decode_object(body, "", "")
    assert ingress["spec"]["rules"] == [{"host": "example.com", "http": {"paths": [{"path": "/"}]}}]


def test_what_is_not_in_the_table_is_refused_not_dropped() -> None:
    with pytest.raises(ProtobufError, match="send JSON") as error:
        decode_object(envelope("v1", "ConfigMap", data(99, "x")), "v1", "ConfigMap")
    assert not error.value.supported
    with pytest.raises(ProtobufError, match="send JSON"):
        decode_object(envelope("v1", "Node", b""), "v1", "Node")


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    for prefix in (b"", b"k8s\x00", envelope("v1", "Pod", body)[:40]):
        try:
            decode_object(prefix + body, "v1", "Pod")
        except ProtobufError:
            continue


def test_every_type_in_the_table_exists() -> None:
    plain = {"string", "int", "bool", "bytes"}
    for message in _messages():
        for field in fields(message).values():
            assert field.type in plain or field.type in _messages(), (message, field)
    for _, kind in ROOTS:
        assert fields(kind)
