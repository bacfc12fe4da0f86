"""Field ownership: updates, server-side apply, conflicts, giving up."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kobune.embedded.apiserver.apply import ApplyConflict, ApplyError, server_side_apply, update_managed
from kobune.embedded.apiserver.apply.fields import decode_fields, encode_fields, format_path
from kobune.embedded.apiserver.crd import resources as custom_resources
from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.schema.resource import ResourceInfo

NOW = "2024-01-01T00:00:00Z"
CONFIG_MAP = next(r for r in resources() if r.kind == "ConfigMap")
DEPLOYMENT = next(r for r in resources() if r.kind == "Deployment")

ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "f:."])


@given(st.sets(st.lists(ELEMENTS, min_size=1, max_size=3).map(tuple), max_size=8))
def test_field_sets_survive_their_notation(paths: set[tuple[str, ...]]) -> None:
    assert decode_fields(encode_fields(paths)) == paths


def test_paths_are_shown_as_in_conflicts() -> None:
    path = ("f:spec", "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")
    assert format_path(path) == '.spec.ports[containerPort=80,protocol="TCP"].name'
    assert format_path(("f:tags", 'v:"x"')) == '.tags[="x"]'


def config(name: str = "c", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def apply(
    live: Any, body: dict[str, Any], manager: str, *, force: bool = False, info: ResourceInfo = CONFIG_MAP
) -> dict[str, Any]:
    result = server_side_apply(info, live, body, manager=manager, now=NOW, force=force)
    info.schema.decode(result)
    return result


def owners(obj: dict[str, Any]) -> dict[str, Any]:
    return {e["manager"]: e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


def update(live: Any, new: dict[str, Any], manager: str, info: ResourceInfo = CONFIG_MAP) -> dict[str, Any]:
    new = copy.deepcopy(new)
    info.schema.decode(new)
    update_managed(info, live, new, manager=manager, now=NOW)
    return new


def test_a_creation_owns_what_it_gave_containers_included() -> None:
    assert owners(update(None, config(a="1"), "me")) == {"me": {"f:data": {".": {}, "f:a": {}}}}


def test_an_update_takes_what_it_changes() -> None:
    live = update(None, config(a="1", b="1"), "one")
    new = update(live, {**config(a="2", b="1"), "metadata": live["metadata"]}, "two")
    assert owners(new) == {"one": {"f:data": {".": {}, "f:b": {}}}, "two": {"f:data": {"f:a": {}}}}


def test_removal_leaves_no_owner() -> None:
    live = update(None, config(a="1", b="1"), "one")
    new = update(live, {**config(b="1"), "metadata": live["metadata"]}, "two")
    assert owners(new) == {"one": {"f:data": {".": {}, "f:b": {}}}}


def test_an_object_without_bookkeeping_gets_none_by_an_update() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": {"a": "1"}}
    assert owners(update(live, config(a="2"), "me")) == {}


def test_one_empty_entry_clears_the_bookkeeping() -> None:
    live = update(None, config(a="1"), "one")
    new = {**config(a="1"), "metadata": {"name": "c", "managedFields": [{}]}}
    assert owners(update(live, new, "two")) == {}


def test_many_update_managers_are_merged_oldest_first() -> None:
    live: Any = None
    for i in range(13):
        data = {f"k{n}": "1" for n in range(i + 1)}
        body = config(**data)
        if live is not None:
            body["metadata"] = live["metadata"]
        body = copy.deepcopy(body)
        update_managed(CONFIG_MAP, live, body, manager=f"m{i:02}", now=f"2024-01-01T00:00:{i:02}Z")
        live = body
    names = [e["manager"] for e in live["metadata"]["managedFields"]]
    assert len(names) == 11
    assert "ancient-changes" in names
    assert "m12" in names
    assert "m00" not in names


def test_appliers_share_equal_values_and_conflict_on_others() -> None:
    live = apply(None, config(a="1"), "one")
    both = apply(live, config(a="1"), "two")
    assert owners(both) == {"one": {"f:data": {"f:a": {}}}, "two": {"f:data": {"f:a": {}}}}
    with pytest.raises(ApplyConflict) as caught:
        apply(live, config(a="2"), "two")
    assert str(caught.value) == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert caught.value.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.a"}
    ]
    forced = apply(live, config(a="2"), "two", force=True)
    assert forced["data"] == {"a": "2"}
    assert owners(forced) == {"two": {"f:data": {"f:a": {}}}}


def test_conflicts_with_several_owners_are_listed_by_owner() -> None:
    live = apply(apply(None, config(a="1", b="1"), "one"), config(c="1"), "two")
    with pytest.raises(ApplyConflict) as caught:
        apply(live, config(a="2", b="2", c="2"), "three")
    assert str(caught.value) == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\nconflicts with "two":\n- .data.c'
    )


def test_what_an_applier_no_longer_wants_goes_unless_others_own_it() -> None:
    live = apply(apply(None, config(a="1", b="1"), "one"), config(b="1"), "two")
    new = apply(live, config(a="1"), "one")
    assert new["data"] == {"a": "1", "b": "1"}
    assert apply(new, config(), "two")["data"] == {"a": "1"}


def test_metadata_survives_giving_up_labels() -> None:
    body = config()
    body["metadata"]["labels"] = {"l": "1"}
    live = apply(None, body, "one")
    live["metadata"].update({"uid": "u", "resourceVersion": "5", "namespace": "n"})
    new = apply(live, config(), "one")
    assert new["metadata"]["uid"] == "u"
    assert new["metadata"]["namespace"] == "n"
    assert "labels" not in new["metadata"]


def test_an_older_object_belongs_to_before_first_apply() -> None:
    live = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": {"a": "1"}}
    with pytest.raises(ApplyConflict, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        apply(live, config(a="2"), "me")
    assert owners(apply(live, config(a="1"), "me")) == {
        "before-first-apply": {"f:data": {".": {}, "f:a": {}}},
        "me": {"f:data": {"f:a": {}}},
    }


def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": list(containers)}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_entries_of_list_maps_have_owners_of_their_own() -> None:
    live = apply(
        None, deployment({"name": "a", "image": "a:1", "ports": [{"containerPort": 80}]}), "one", info=DEPLOYMENT
    )
    new = apply(live, deployment({"name": "side", "image": "s:1"}), "two", info=DEPLOYMENT)
    names = [c["name"] for c in new["spec"]["template"]["spec"]["containers"]]
    assert names == ["a", "side"]
    withdrawn = apply(new, {**deployment(), "spec": {}}, "two", info=DEPLOYMENT)
    assert [c["name"] for c in withdrawn["spec"]["template"]["spec"]["containers"]] == ["a"]
    with pytest.raises(ApplyConflict) as caught:
        apply(live, deployment({"name": "a", "image": "a:2"}), "two", info=DEPLOYMENT)
    assert caught.value.causes[0]["field"] == '.spec.template.spec.containers[name="a"].image'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**config(), "bogus": 1}, "(/c; /v1, Kind=ConfigMap): .bogus: field not declared in schema"),
        ({**config(), "data": {"a": {}}}, "(/c; /v1, Kind=ConfigMap): .data.a: expected string, got &{{}}"),
        ({**config(), "data": []}, "(/c; /v1, Kind=ConfigMap): .data: expected map, got &{[]}"),
    ],
)
def test_a_configuration_must_have_the_types_shape(body: dict[str, Any], message: str) -> None:
    with pytest.raises(ApplyError) as caught:
        apply(None, body, "me")
    assert caught.value.code == 500
    assert str(caught.value) == "failed to create typed patch object " + message


def test_duplicate_keys_of_a_list_map_are_refused() -> None:
    with pytest.raises(ApplyError, match=r'containers: duplicate entries for key \[name="a"\]'):
        apply(None, deployment({"name": "a"}, {"name": "a"}), "me", info=DEPLOYMENT)


def test_kubectl_takes_over_what_its_client_side_apply_set() -> None:
    text = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}'
    body = config(a="1")
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": text}
    live = update(None, body, "kubectl-client-side-apply")
    new = apply(live, config(a="2"), "kubectl")
    assert new["data"] == {"a": "2"}
    annotation = new["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert '"data":{"a":"2"}' in annotation
    live["data"] = {"a": "3"}
    with pytest.raises(ApplyConflict):
        apply(live, config(a="2"), "kubectl")


def widgets() -> ResourceInfo:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            },
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"kind": "Widget", "plural": "widgets"}
    return custom_resources({"spec": {"group": "x.io", "names": names, "scope": "Namespaced", "versions": [version]}})[
        0
    ]


def widget(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w"}, **parts}


def test_sets_and_schemaless_parts_of_custom_resources() -> None:
    info = widgets()
    live = apply(None, widget(spec={"tags": ["x", "y"], "free": {"a": {"b": [1]}}}), "one", info=info)
    assert owners(live)["one"] == {
        "f:spec": {"f:tags": {'v:"x"': {}, 'v:"y"': {}}, "f:free": {"f:a": {".": {}, "f:b": {}}}}
    }
    new = apply(live, widget(spec={"tags": ["z"]}), "two", info=info)
    assert new["spec"]["tags"] == ["x", "y", "z"]
    assert apply(new, widget(spec={"tags": ["y"]}), "one", info=info)["spec"]["tags"] == ["y", "z"]


def test_status_is_owned_through_its_subresource_only() -> None:
    info = widgets()
    live = apply(None, widget(spec={"tags": ["x"]}), "one", info=info)
    main = server_side_apply(info, live, widget(status={"phase": "X"}), manager="st", now=NOW, force=False)
    assert "st" not in owners(main)
    sub = server_side_apply(
        info, live, widget(status={"phase": "X"}), manager="st", now=NOW, force=False, subresource="status"
    )
    entry = next(e for e in sub["metadata"]["managedFields"] if e["manager"] == "st")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:phase": {}}}


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3))
def test_applying_the_same_again_changes_nothing(data: dict[str, str]) -> None:
    once = apply(None, config(**data), "me")
    assert apply(once, config(**data), "me") == once
