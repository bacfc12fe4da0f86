"""Malformed input ends in the errors that mean so, never in anything else."""

import copy
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kobune.embedded.apiserver.apply import ApplyConflict, ApplyError, server_side_apply, update_managed
from kobune.embedded.apiserver.crd import (
    accept_names,
    default_crd,
    prepare_crd,
    validate_crd,
)
from kobune.embedded.apiserver.crd import (
    resources as custom_resources,
)
from kobune.embedded.apiserver.patch import PatchError, json_patch, merge_patch, strategic_merge_patch
from kobune.embedded.apiserver.schema.builtin import resources
from kobune.embedded.apiserver.schema.definitions import definition, ref_name
from kobune.embedded.apiserver.schema.errors import DecodeError
from kobune.embedded.apiserver.schema.structural import compile_schema
from kobune.embedded.apiserver.table import render
from kobune.embedded.apiserver.validation import default, validate_create, validate_update

SEED = int(os.environ.get("KOBUNE_FUZZ_SEED", "0"))
NOW = datetime(2024, 1, 1, tzinfo=UTC)
STAMP = "2024-01-01T00:00:00Z"
ODD: list[Any] = [
    None,
    "",
    0,
    -1,
    1 << 70,
    1.5,
    True,
    [],
    {},
    [None],
    {"": None},
    "x" * 300,
    "\u0000",
    "%",
    "a/b/c",
    "1Gi",
    "-",
    [[]],
]


def mutate(rng: random.Random, value: Any, rate: float = 0.06) -> Any:
    """The value with some parts replaced by odd ones."""
    if rng.random() < rate:
        return copy.deepcopy(rng.choice(ODD))
    if isinstance(value, dict):
        result = {k: mutate(rng, v, rate) for k, v in value.items() if rng.random() > rate}
        if rng.random() < rate:
            result[rng.choice(["bogus", "", "$patch", "$retainKeys", "$setElementOrder/x"])] = copy.deepcopy(
                rng.choice(ODD)
            )
        return result
    if isinstance(value, list):
        return [
            mutate(rng, v, rate) for v in value for _ in range(1 if rng.random() > 5 * rate else rng.choice((0, 2)))
        ]
    return value


def sample(rng: random.Random, name: str, depth: int = 0) -> Any:
    """A value that has a definition's types, mostly."""
    schema = definition(name)
    if name.endswith((".Time", ".MicroTime")):
        return rng.choice([STAMP, "2024-01-01T00:00:00.000000Z", "never"])
    if name.endswith(".Quantity"):
        return rng.choice(["1", "1Gi", "100m", 5, "-1", "x"])
    if name.endswith(".IntOrString"):
        return rng.choice([1, "50%", "http", -5])
    properties = schema.get("properties")
    if not properties:
        return rng.choice([{}, {"a": 1}, None])
    required = set(schema.get("required", ()))
    chance = 0.5 if depth < 3 else 0.15
    return {
        f: field(rng, s, depth + 1)
        for f, s in properties.items()
        if depth < 9 and (f in required or rng.random() < chance)
    }


def field(rng: random.Random, schema: dict[str, Any], depth: int) -> Any:
    name = ref_name(schema)
    if name is not None:
        return sample(rng, name, depth)
    match schema.get("type"):
        case "array":
            return [field(rng, schema["items"], depth + 1) for _ in range(rng.choice((0, 1, 1, 2)))]
        case "object":
            values = schema.get("additionalProperties")
            return (
                {k: field(rng, values, depth + 1) for k in rng.sample(["a", "b.c/d", "Bad Key"], rng.choice((0, 1, 2)))}
                if isinstance(values, dict)
                else {}
            )
        case "integer":
            return rng.choice([0, 1, -1, 80, 70000])
        case "boolean":
            return rng.random() < 0.5
        case "string":
            return rng.choice(["", "a", "Always", "TCP", "Bad_Name", "a.b.c", "MQ==", "10.0.0.1", "x" * 300])
    return rng.choice([1, "a", None, {"x": [1]}])


def objects(rng: random.Random, count: int) -> "list[tuple[Any, dict[str, Any]]]":
    infos = resources()
    found = []
    for i in range(count):
        info = infos[i % len(infos)]
        obj = sample(rng, info.schema.name)  # type: ignore[attr-defined]
        obj.setdefault("metadata", {})
        found.append((info, mutate(rng, obj) if rng.random() < 0.7 else obj))
    return found


def decoded(info: Any, obj: Any) -> bool:
    if not isinstance(obj, dict):
        return False
    obj["apiVersion"], obj["kind"] = info.group_version, info.kind
    if not isinstance(obj.get("metadata"), dict):
        obj["metadata"] = {}
    try:
        info.schema.decode(obj)
    except DecodeError:
        return False
    default(info, obj)
    return True


def test_builtin_kinds_survive_decoding_defaults_rules_tables_and_ownership() -> None:
    rng = random.Random(SEED + 1)
    survived = 0
    for info, obj in objects(rng, 1500):
        if not decoded(info, obj):
            continue
        survived += 1
        validate_create(info, obj)
        render(info, [obj], now=NOW)
        other = mutate(rng, copy.deepcopy(obj))
        if decoded(info, other):
            validate_update(info, other, obj)
            validate_update(info, other, obj, "status")
            update_managed(info, obj, other, manager="m", now=STAMP)
    assert survived > 500


def attempt(call: Callable[[], Any], *expected: type[Exception]) -> Any:
    try:
        return call()
    except expected:
        return None


def test_patches_of_any_kind_fail_as_patches() -> None:
    rng = random.Random(SEED + 2)
    for info, obj in objects(rng, 600):
        if not decoded(info, obj):
            continue
        patch = mutate(rng, copy.deepcopy(obj))
        before = copy.deepcopy(obj)
        for result in (
            attempt(lambda o=obj, p=patch: merge_patch(o, p), PatchError),  # type: ignore[misc]
            attempt(lambda o=obj, p=patch, s=info.schema.shape: strategic_merge_patch(o, p, s), PatchError),  # type: ignore[misc]
        ):
            if result is not None:
                decoded(info, copy.deepcopy(result))
        operations = [
            {
                "op": rng.choice(["add", "remove", "replace", "move", "copy", "test", 5]),
                "path": rng.choice(["/metadata", "/spec/x/0", "", "/a~2", 7, "/metadata/labels/a"]),
                "from": rng.choice(["/spec", "/none", None]),
                "value": rng.choice(ODD),
            }
            for _ in range(3)
        ]
        attempt(lambda o=obj, p=operations: json_patch(o, p), PatchError)  # type: ignore[misc]
        assert obj == before


def test_applying_anything_fails_as_apply() -> None:
    rng = random.Random(SEED + 3)
    for info, obj in objects(rng, 600):
        live = copy.deepcopy(obj)
        if not decoded(info, live):
            continue
        config = mutate(rng, copy.deepcopy(live))
        if not isinstance(config, dict) or not isinstance(config.get("metadata"), dict):
            continue
        for force in (False, True):
            result = attempt(
                lambda i=info, o=live, c=config, f=force: server_side_apply(i, o, c, manager="m", now=STAMP, force=f),  # type: ignore[misc]
                ApplyError,
                ApplyConflict,
            )
            if result is not None:
                decoded(info, result)


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["a"],
            "properties": {
                "a": {"type": "string", "pattern": "^a", "minLength": 1, "default": "a"},
                "n": {
                    "type": "integer",
                    "minimum": 1,
                    "multipleOf": 2,
                    "x-kubernetes-validations": [{"rule": "self > 0"}],
                },
                "l": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"k": {"type": "string"}}, "required": ["k"]},
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["k"],
                },
                "m": {"type": "object", "additionalProperties": {"type": "number"}},
                "o": {
                    "oneOf": [{"required": ["x"]}, {"required": ["y"]}],
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                },
                "e": {
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "x-kubernetes-preserve-unknown-fields": True,
                },
                "f": {"type": "string", "format": "date-time", "enum": ["x"]},
                "i": {"x-kubernetes-int-or-string": True},
            },
        }
    },
}
VALUE: dict[str, Any] = {
    "metadata": {"name": "x", "labels": {"a": "b"}},
    "spec": {
        "a": "ab",
        "n": 2,
        "l": [{"k": "1"}],
        "m": {"a": 1.5},
        "o": {"x": 1},
        "e": {"kind": "K", "metadata": {}},
        "f": STAMP,
        "i": 5,
    },
}


def test_custom_resources_survive_their_schema() -> None:
    rng = random.Random(SEED + 4)
    compiled = compile_schema(SCHEMA)
    old = copy.deepcopy(VALUE)
    for _ in range(800):
        obj = mutate(rng, copy.deepcopy(VALUE))
        if not isinstance(obj, dict):
            continue
        try:
            compiled.decode(obj)
        except DecodeError:
            continue
        compiled.validate(obj)
        compiled.validate(obj, old)


def test_definitions_of_any_shape_are_judged_not_crashed_on() -> None:
    rng = random.Random(SEED + 5)
    info = next(r for r in resources() if r.kind == "CustomResourceDefinition")
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}},
        "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".spec.a"}],
    }
    crd = {
        "metadata": {"name": "ws.x.io"},
        "spec": {"group": "x.io", "names": {"kind": "W", "plural": "ws"}, "scope": "Namespaced", "versions": [version]},
    }
    valid = 0
    for _ in range(600):
        obj = mutate(rng, copy.deepcopy(crd), 0.01) if valid else copy.deepcopy(crd)
        if not decoded(info, obj):
            continue
        default_crd(obj)
        prepare_crd(obj, None)
        if validate_crd(obj):
            continue
        valid += 1
        obj["status"] = accept_names(obj, [], STAMP)
        for served in custom_resources(obj):
            sample_value = mutate(rng, copy.deepcopy(VALUE))
            if isinstance(sample_value, dict):
                attempt(lambda s=served, v=sample_value: s.schema.decode(v), DecodeError)  # type: ignore[misc]
                served.schema.validate(sample_value)
    assert valid > 20
