"""Built-in kinds: what decoding drops, keeps, canonicalises and refuses."""

from typing import Any

import pytest

from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.schema.errors import DecodeError

INFOS = {(r.group, r.kind): r for r in resources()}


def decode(group: str, kind: str, obj: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    unknown = INFOS[(group, kind)].schema.decode(obj)
    return obj, unknown


def test_unknown_fields_are_dropped_and_named_by_their_path() -> None:
    obj, unknown = decode(
        "",
        "Pod",
        {
            "zzz": 1,
            "metadata": {"name": "p", "lables": {}},
            "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1, "bogus": 2}]}]},
        },
    )
    assert sorted(unknown) == ["metadata.lables", "spec.containers[0].ports[0].bogus", "zzz"]
    assert obj["spec"]["containers"][0]["ports"] == [{"containerPort": 1}]
    assert "zzz" not in obj


def test_keys_of_maps_are_data_not_fields() -> None:
    obj, unknown = decode("", "ConfigMap", {"metadata": {"name": "c"}, "data": {"a.b": "1"}})
    assert unknown == []
    assert obj["data"] == {"a.b": "1"}


def test_nulls_and_empty_optional_values_vanish() -> None:
    obj, unknown = decode(
        "",
        "ConfigMap",
        {
            "metadata": {"name": "c", "labels": None, "annotations": {}, "finalizers": []},
            "data": None,
            "immutable": False,
        },
    )
    assert unknown == []
    assert obj == {"metadata": {"name": "c"}, "immutable": False}


def test_zero_values_stay_where_the_type_can_tell_them_from_absent() -> None:
    spec = {"hostNetwork": False, "automountServiceAccountToken": False, "containers": [{"name": "a", "image": ""}]}
    obj, _ = decode("", "Pod", {"metadata": {}, "spec": spec})
    assert obj["spec"] == {"automountServiceAccountToken": False, "containers": [{"name": "a", "resources": {}}]}


def test_what_is_always_printed_is_filled_in() -> None:
    obj, _ = decode("", "Service", {"metadata": {"name": "s"}})
    assert obj["spec"] == {}
    assert obj["status"] == {"loadBalancer": {}}
    role, _ = decode("rbac.authorization.k8s.io", "Role", {"metadata": {"name": "r"}})
    assert role["rules"] is None
    role, _ = decode("rbac.authorization.k8s.io", "Role", {"metadata": {"name": "r"}, "rules": []})
    assert role["rules"] == []


def test_conditions_print_times_that_were_never_set() -> None:
    obj, _ = decode("", "Pod", {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert obj["status"]["conditions"] == [
        {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}
    ]


def test_quantities_and_times_are_printed_canonically() -> None:
    limits = {"cpu": "1000m", "memory": "1024Mi", "example.com/x": 1.5}
    pod = {
        "metadata": {"creationTimestamp": "2020-01-01T02:00:00.5+02:00"},
        "spec": {"containers": [{"name": "a", "resources": {"limits": limits}}]},
    }
    obj, _ = decode("", "Pod", pod)
    assert obj["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "1",
        "memory": "1Gi",
        "example.com/x": "1500m",
    }
    assert obj["metadata"]["creationTimestamp"] == "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (
            "ConfigMap",
            {"metadata": {"name": 5}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
        ),
        (
            "ConfigMap",
            {"data": []},
            "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
        ),
        (
            "ConfigMap",
            {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "Pod",
            {"spec": {"hostNetwork": "yes"}},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            "Pod",
            {"spec": {"priority": 1 << 40}},
            "json: cannot unmarshal number 1099511627776 into Go struct field PodSpec.spec.priority of type int32",
        ),
        ("Secret", {"data": {"a": "*"}}, "illegal base64 data at input byte 0"),
        (
            "Pod",
            {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "lots"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_wrong_json_types_are_refused_in_the_decoders_words(kind: str, body: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode("", kind, body)
    assert caught.value.reason == message


def test_every_builtin_kind_decodes_an_empty_object_and_is_stable() -> None:
    for info in resources():
        first: dict[str, Any] = {"metadata": {"name": "x"}}
        info.schema.decode(first)
        second = dict(first)
        assert info.schema.decode(second) == [], info.kind
        assert second == first, info.kind


def test_shapes_carry_merge_keys_and_list_types() -> None:
    containers = INFOS[("", "Pod")].schema.shape.fields["spec"].fields["containers"]
    assert (containers.list_type, containers.keys, containers.patch_key) == ("map", ("name",), "name")
    ports = containers.items.fields["ports"]
    assert ports.keys == ("containerPort", "protocol")
    assert ports.defaults == {"protocol": "TCP"}
    assert INFOS[("apps", "Deployment")].schema.shape.fields["spec"].fields["selector"].atomic


def test_the_resource_table_has_what_discovery_shows() -> None:
    pods = INFOS[("", "Pod")]
    assert pods.short_names == ("po",)
    assert {s.name for s in pods.subresources} >= {"status", "binding", "eviction", "log", "exec"}
    assert not INFOS[("authentication.k8s.io", "TokenReview")].stored
    assert "deletecollection" not in INFOS[("", "Namespace")].verbs
