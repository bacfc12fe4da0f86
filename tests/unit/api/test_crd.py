"""Definitions generated from the types, compared with what KubeVirt publishes."""

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from kobune.api.crd import all_definitions, structural_schema
from kobune.api.kubevirt import VirtualMachine, VirtualMachineInstance

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("KOBUNE_SHARED", ROOT.parent / "shared"))
TOOL = SHARED / "tools/schema_parity.py"


def find(schema: dict[str, Any], path: str) -> dict[str, Any]:
    for part in path.split("."):
        schema = schema["items"] if part == "[]" else schema["properties"][part]
    return schema


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.running", {"type": "boolean"}),
        ("spec.template.metadata", {"x-kubernetes-preserve-unknown-fields": True, "nullable": True}),
        ("spec.template.spec.dnsPolicy", {"enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]}),
        ("spec.template.spec.domain.memory.guest", {"x-kubernetes-int-or-string": True}),
        ("spec.template.spec.domain.devices.disks.[]", {"type": "object", "required": ["name"]}),
        ("status.conditions.[].lastProbeTime", {"type": "string", "format": "date-time", "nullable": True}),
    ],
)
def test_types_become_structural_schemas(path: str, expected: dict[str, Any]) -> None:
    schema = find(structural_schema(VirtualMachine), path)
    assert {key: schema.get(key) for key in expected} == expected


def test_instances_are_written_through_the_main_resource() -> None:
    by_kind = {item["spec"]["names"]["kind"]: item for item in all_definitions()}
    assert "subresources" not in by_kind["VirtualMachineInstance"]["spec"]["versions"][0]
    assert by_kind["VirtualMachine"]["spec"]["versions"][0]["subresources"] == {"status": {}}
    assert structural_schema(VirtualMachineInstance)["properties"]["metadata"] == {"type": "object"}


@pytest.mark.skipif(not TOOL.exists(), reason="the shared reference data are not beside this checkout")
def test_every_published_field_of_the_defined_kinds_is_there() -> None:
    tool = runpy.run_path(str(TOOL))
    reference = tool["reference"](str(SHARED / "reference"))
    compared = 0
    for group, version, kind, schema in tool["crd_kinds"](all_definitions()):
        wanted = reference.get((group, version, kind))
        if wanted is None:
            continue
        missing, other, _ = tool["compare"](wanted, *tool["crd_paths"](schema))
        assert (missing, other) == ([], []), f"{kind} {version}"
        compared += len(wanted)
    assert compared > 6000


def test_descriptions_name_fields_as_manifests_do() -> None:
    assert str(structural_schema(VirtualMachine)["properties"]["spec"]["description"]).startswith("`runStrategy` or")
    assert not re.findall(r"'description': '[^']*`[a-z]+_[a-z_]+`", str(all_definitions()))


def undescribed(schema: dict[str, Any], path: str) -> list[str]:
    """Fields below `path` about which `kubectl explain` has nothing to say."""
    found = []
    for name, item in schema.get("properties", {}).items():
        inner = item
        while inner.get("type") == "array":
            inner = inner["items"]
        if not (item.get("description") or inner.get("description")):
            found.append(f"{path}.{name}")
        found += undescribed(inner, f"{path}.{name}")
    return found


def test_every_field_of_kubevirts_kinds_is_explained() -> None:
    for definition in all_definitions():
        if "kubevirt.io" not in definition["spec"]["group"]:
            continue
        for version in definition["spec"]["versions"]:
            for part, schema in version["schema"]["openAPIV3Schema"]["properties"].items():
                if part in ("spec", "status"):
                    assert undescribed(schema, f"{definition['spec']['names']['kind']}.{part}") == []
