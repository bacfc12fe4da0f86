"""OpenAPI documents: complete, closed under references, with what clients look for."""

import json
import re
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from kobune.embedded.apiserver.crd import resources as custom_resources
from kobune.embedded.apiserver.openapi import encode_v2, v2_document, v3_document, v3_index
from kobune.embedded.apiserver.schema.builtin import resources

CRD = {
    "spec": {
        "group": "x.io",
        "names": {"kind": "Widget", "plural": "widgets"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "port": {"x-kubernetes-int-or-string": True},
                                    "mode": {"type": "string", "default": "a", "enum": ["a", "b"]},
                                },
                            }
                        },
                    }
                },
            }
        ],
    }
}


def test_core_v1_has_operations_and_closed_references() -> None:
    document = v3_document([r for r in resources() if not r.group])
    schemas = document["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used <= schemas.keys()
    patch = document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    assert patch["x-kubernetes-action"] == "patch"
    assert {p["name"] for p in patch["parameters"]} >= {"dryRun", "fieldManager", "fieldValidation", "force"}
    assert "application/strategic-merge-patch+json" in patch["requestBody"]["content"]
    pod = schemas["io.k8s.api.core.v1.Pod"]
    assert pod["properties"]["spec"]["default"] == {}
    assert "enum" not in pod["properties"]["kind"]
    assert (
        document["paths"]["/api/v1/namespaces/{namespace}/pods"]["post"]["operationId"] == "createCoreV1NamespacedPod"
    )


def test_operation_ids_are_unique() -> None:
    document = v2_document(resources())
    ids = [op["operationId"] for item in document["paths"].values() for op in item.values() if isinstance(op, dict)]
    assert len(ids) == len(set(ids))


def test_custom_kinds_are_named_after_their_group() -> None:
    document = v3_document(custom_resources(CRD))
    widget = document["components"]["schemas"]["io.x.v1.Widget"]
    assert widget["x-kubernetes-group-version-kind"] == [{"group": "x.io", "kind": "Widget", "version": "v1"}]
    spec = widget["properties"]["spec"]["properties"]
    assert spec["port"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert spec["mode"]["default"] == "a"
    patch = document["paths"]["/apis/x.io/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]
    v2 = v2_document(custom_resources(CRD))["definitions"]["io.x.v1.Widget"]
    assert v2["properties"]["spec"]["properties"]["mode"] == {"type": "string", "enum": ["a", "b"]}


def test_the_index_changes_with_a_schema() -> None:
    first = v3_index(custom_resources(CRD))["paths"]["apis/x.io/v1"]["serverRelativeURL"]
    other = json.loads(json.dumps(CRD))
    other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "changed"
    assert v3_index(custom_resources(other))["paths"]["apis/x.io/v1"]["serverRelativeURL"] != first


def _messages(data: bytes) -> dict[int, list[bytes]]:
    """The length-delimited fields of a protobuf message, as Protobuf's own library reads them."""
    fields: dict[int, list[bytes]] = {}
    unknown = UnknownFieldSet(Empty.FromString(data))
    for field in (unknown[index] for index in range(len(unknown))):
        if field.wire_type == 2:
            fields.setdefault(field.field_number, []).append(field.data)
    return fields


def test_the_protobuf_form_carries_every_definition_and_path() -> None:
    document: dict[str, Any] = v2_document(resources())
    fields = _messages(encode_v2(document))
    assert fields[1] == [b"2.0"]
    names = {_messages(entry)[1][0].decode() for entry in _messages(fields[9][0])[1]}
    assert names == set(document["definitions"])
    paths = {_messages(entry)[1][0].decode() for entry in _messages(fields[8][0])[2]}
    assert paths == set(document["paths"])
