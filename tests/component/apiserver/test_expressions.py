"""Rules of definitions are checked before they are stored, without what checks them staying in the server."""

import json
from pathlib import Path
from typing import Any

import pytest

from kobune.api.crd import companion_definitions
from support.apiprocess import ApiProcess, api_process
from support.kubectl import KUBECTLS, Kubectl


def definition(group: str, *rules: dict[str, str]) -> dict[str, Any]:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer", "minimum": 0}, "name": {"type": "string", "maxLength": 10}},
        "x-kubernetes-validations": list(rules),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }


def libraries(api: ApiProcess) -> set[str]:
    """Shared libraries that the server's process has loaded."""
    lines = Path(f"/proc/{api.pid}/maps").read_text().splitlines()
    return {Path(line.split(maxsplit=5)[5]).name for line in lines if ".so" in line}


def apply(kubectl: Kubectl, *objects: dict[str, Any]) -> str:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    outcome = kubectl.run("apply", "--server-side", "-f", "-", stdin=json.dumps(items))
    return outcome.stdout + outcome.stderr


@pytest.mark.timeout(180)
def test_storing_rules_leaves_no_checker_in_the_server(tmp_path: Path) -> None:
    with api_process(tmp_path) as api:
        kubectl = Kubectl(KUBECTLS[0], api.kubeconfig, "default")
        small = {"rule": "self.size < 10 || self.name.startsWith('big')", "message": "too large"}
        said = apply(kubectl, *companion_definitions(), definition("good.example.com", small))
        assert "invalid" not in said, said
        said = apply(
            kubectl,
            definition("unknown.example.com", {"rule": "self.sise < 10"}),
            definition("untrue.example.com", {"rule": "self.size"}),
            definition("worded.example.com", {**small, "messageExpression": "self.size"}),
        )
        assert "undefined field 'sise'" in said
        assert "must evaluate to a bool" in said
        assert "must evaluate to a string" in said
        condition = {"name": "c", "expression": "request.userInfo.username != 'x'"}
        client = {"url": "https://127.0.0.1:1/", "caBundle": ""}
        hook = {
            "name": "a.example.com", "clientConfig": client, "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "matchConditions": [condition, {"name": "d", "expression": "request.nothing"}], "rules": [],
        }  # fmt: skip
        said = apply(
            kubectl,
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "a"},
                "webhooks": [hook],
            },
        )
        assert "undefined field 'nothing'" in said
        assert not {name for name in libraries(api) if name.startswith(("cel.", "ext_"))}
        kubectl("wait", "--for=condition=Established", "crd/things.good.example.com", "--timeout=30s")
        thing = {
            "apiVersion": "good.example.com/v1",
            "kind": "Thing",
            "metadata": {"name": "t"},
            "spec": {"size": 11, "name": "small"},
        }
        assert "too large" in kubectl.fails("create", "-f", "-", stdin=json.dumps(thing))
        assert {name for name in libraries(api) if name.startswith("cel.")}, "the rule ran here"
        assert not {name for name in libraries(api) if name.startswith("ext_")}, "extensions that no rule needs"
