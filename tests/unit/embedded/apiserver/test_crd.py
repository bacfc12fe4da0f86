"""CustomResourceDefinitions: rules, names, served resources."""

import copy
from typing import Any

import pytest

from kobune.embedded.apiserver.crd import (
    accept_names,
    default_crd,
    prepare_crd,
    resources,
    validate_crd,
    version_priority,
)

NOW = "2024-01-01T00:00:00Z"


def definition(schema: Any = None, **spec: Any) -> dict[str, Any]:
    body = {"type": "object", "properties": {"spec": schema}} if schema else {"type": "object"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": body}}
    crd = {
        "metadata": {"name": "widgets.x.io"},
        "spec": {
            "group": "x.io",
            "names": {"kind": "Widget", "plural": "widgets"},
            "scope": "Namespaced",
            "versions": [version],
            **spec,
        },
    }
    default_crd(crd)
    prepare_crd(crd, None)
    return crd


def fields(crd: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [e.field for e in validate_crd(crd, old)]


def test_defaults() -> None:
    crd = definition()
    assert crd["spec"]["names"]["singular"] == "widget"
    assert crd["spec"]["names"]["listKind"] == "WidgetList"
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert crd["status"]["storedVersions"] == ["v1"]
    assert fields(crd) == []


SCHEMA = "spec.validation.openAPIV3Schema.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"a": {"type": "string"}}}, f"{SCHEMA}.type"),
        ({"type": "strange"}, f"{SCHEMA}.type"),
        ({"type": "array"}, f"{SCHEMA}.items"),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "string"}},
            f"{SCHEMA}.additionalProperties",
        ),
        ({"type": "string", "pattern": "("}, f"{SCHEMA}.pattern"),
        ({"type": "integer", "default": "x"}, f"{SCHEMA}.default"),
        ({"type": "string", "uniqueItems": True}, f"{SCHEMA}.uniqueItems"),
        (
            {"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map"},
            f"{SCHEMA}.x-kubernetes-list-map-keys",
        ),
        (
            {"type": "integer", "x-kubernetes-validations": [{"rule": "self >"}]},
            f"{SCHEMA}.x-kubernetes-validations[0].rule",
        ),
        (
            {"type": "integer", "x-kubernetes-validations": [{"rule": "self.size() > 1"}]},
            f"{SCHEMA}.x-kubernetes-validations[0].rule",
        ),
        (
            {"type": "integer", "x-kubernetes-validations": [{"rule": "1 + 1"}]},
            f"{SCHEMA}.x-kubernetes-validations[0].rule",
        ),
        (
            {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 0", "messageExpression": "1"}]},
            f"{SCHEMA}.x-kubernetes-validations[0].messageExpression",
        ),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": False},
            f"{SCHEMA}.x-kubernetes-preserve-unknown-fields",
        ),
        ({"type": "object", "x-kubernetes-embedded-resource": True}, f"{SCHEMA}.properties"),
        ({"type": "object", "x-kubernetes-map-type": "x"}, f"{SCHEMA}.x-kubernetes-map-type"),
        ({"type": "string", "anyOf": [{"type": "string"}]}, f"{SCHEMA}.anyOf[0].type"),
        ({"type": "string", "not": {"default": "x"}}, f"{SCHEMA}.not.default"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string"}},
                "oneOf": [{"properties": {"a": {"title": "t"}}}],
            },
            f"{SCHEMA}.oneOf[0].properties[a].title",
        ),
    ],
)
def test_schemas_must_be_structural(schema: dict[str, Any], where: str) -> None:
    assert fields(definition(schema)) == [where]


def test_numbers_that_may_be_text_say_so_by_a_choice_of_types() -> None:
    choice = [{"type": "integer"}, {"type": "string"}]
    assert fields(definition({"x-kubernetes-int-or-string": True, "anyOf": choice})) == []


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (".spec.colour", ""),
        (".spec.missing", "is an invalid path: does not refer to a valid field"),
        (".metadata.name", "must not point to fields in metadata"),
        (".spec", "must point to a field of type string, boolean or integer."),
    ],
)
def test_fields_to_select_by(path: str, wrong: str) -> None:
    crd = definition({"type": "object", "properties": {"colour": {"type": "string"}}})
    crd["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": path}]
    errors = validate_crd(crd, None)
    assert [e.field for e in errors] == (["spec.selectableFields[0].jsonPath"] if wrong else [])
    assert all(wrong in e.message for e in errors)


@pytest.mark.parametrize(
    ("given", "accepted"),
    [(None, False), ("yes", False), ("unapproved, a trial", True), ("https://github.com/x/y/pull/1", True)],
)
def test_groups_of_the_community_need_an_approval(given: str | None, accepted: bool) -> None:
    crd = definition(group="things.k8s.io")
    crd["metadata"].update(
        name="widgets.things.k8s.io", annotations={"api-approved.kubernetes.io": given} if given else {}
    )
    where = "metadata.annotations[api-approved.kubernetes.io]"
    assert fields(crd) == ([] if accepted else [where])


def test_what_versions_do_not_share_is_reported_at_the_version() -> None:
    crd = definition()
    second = copy.deepcopy(crd["spec"]["versions"][0])
    second.update(name="v2", storage=False)
    second["schema"]["openAPIV3Schema"] = {"type": "object", "properties": {"spec": {"type": "strange"}}}
    crd["spec"]["versions"].append(second)
    assert fields(crd) == ["spec.versions[1].schema.openAPIV3Schema.properties[spec].type"]


def test_what_never_changes() -> None:
    old = definition()
    old["status"] = accept_names(old, [], NOW)
    new = copy.deepcopy(old)
    new["spec"]["scope"] = "Cluster"
    assert fields(new, old) == ["spec.scope"]
    new = copy.deepcopy(old)
    new["spec"]["versions"][0]["name"] = "v2"
    assert fields(new, old) == ["status.storedVersions[0]"]


def test_a_new_storage_version_joins_the_stored_ones() -> None:
    old = definition()
    new = copy.deepcopy(old)
    second = copy.deepcopy(new["spec"]["versions"][0])
    new["spec"]["versions"][0]["storage"] = False
    second["name"] = "v2"
    new["spec"]["versions"].append(second)
    prepare_crd(new, old)
    assert new["status"]["storedVersions"] == ["v1", "v2"]
    assert fields(new, old) == []


def test_free_names_are_accepted_and_kept() -> None:
    crd = definition()
    status = accept_names(crd, [], NOW)
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"NamesAccepted": "True", "Established": "True"}
    assert status["acceptedNames"] == {
        "kind": "Widget",
        "listKind": "WidgetList",
        "plural": "widgets",
        "singular": "widget",
    }
    crd["status"] = status
    assert accept_names(crd, [], "2030-01-01T00:00:00Z") == status


def test_names_of_another_definition_of_the_group_are_taken() -> None:
    first = definition()
    first["status"] = accept_names(first, [], NOW)
    rival = definition()
    rival["spec"]["names"]["plural"] = "rivals"
    status = accept_names(rival, [first], NOW)
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions == {"NamesAccepted": ("False", "ListKindConflict"), "Established": ("False", "NotAccepted")}
    assert status["acceptedNames"] == {"plural": "rivals", "kind": ""}
    first["spec"]["group"] = "other.io"
    assert accept_names(rival, [first], NOW)["conditions"][0]["status"] == "True"


def test_resources_of_served_versions_preferred_first() -> None:
    crd = definition()
    base = crd["spec"]["versions"][0]
    base["subresources"] = {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}}
    crd["spec"]["versions"] += [
        {**base, "name": "v2beta1", "storage": False, "deprecated": True},
        {**base, "name": "v0", "storage": False, "served": False},
    ]
    infos = resources(crd)
    assert [i.version for i in infos] == ["v1", "v2beta1"]
    assert infos[0].group_version == "x.io/v1"
    assert [s.name for s in infos[0].subresources] == ["status", "scale"]
    assert infos[0].scale is not None
    assert infos[0].scale.spec_replicas_path == ".spec.n"
    assert infos[1].deprecated_warning == "x.io/v2beta1 Widget is deprecated"
    assert infos[1].storage_version == "v1"


def test_version_order() -> None:
    names = ["foo1", "v1alpha1", "v1", "v10", "v2beta2", "v2beta10", "v2"]
    assert sorted(names, key=version_priority) == ["v10", "v2", "v1", "v2beta10", "v2beta2", "v1alpha1", "foo1"]


TEXTS = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("rule", "schema", "message"),
    [
        ("self.all(x, x.startsWith('a'))", TEXTS, None),
        (
            "self.all(x, self.exists(y, x == y))",
            TEXTS,
            "Forbidden: estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or "
            "adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)",
        ),
        (
            "self.all(x, self.exists(y, x == y))",
            {"type": "array", "maxItems": 50, "items": {"type": "string", "maxLength": 20}},
            None,
        ),
        ("self.contains(self)", {"type": "string", "maxLength": 100}, None),
    ],
)
def test_rules_that_could_cost_too_much_are_refused(rule: str, schema: dict[str, Any], message: str | None) -> None:
    found = validate_crd(definition({**schema, "x-kubernetes-validations": [{"rule": rule}]}))
    assert [e.message for e in found] == ([] if message is None else [message])


def test_a_rule_in_an_unbounded_list_is_counted_as_often_as_it_could_run() -> None:
    entry = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "x-kubernetes-validations": [{"rule": "self.a == self.b"}],
    }
    unbounded = definition({"type": "array", "items": entry})
    assert fields(unbounded) == [f"{SCHEMA}.items.x-kubernetes-validations[0].rule"]
    bounded = {**entry, "properties": {n: {"type": "string", "maxLength": 63} for n in "ab"}}
    assert fields(definition({"type": "array", "items": bounded, "maxItems": 100})) == []
