"""kubectl against our API server: what its users type, and what it answers with a real cluster."""

import json
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kubectl import Kubectl

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "labels": {"app": "web"}},
    "data": {"colour": "red", "size": "1"},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "registry.example/web:1", "ports": [{"containerPort": 80}]},
                    {"name": "side", "image": "registry.example/side:1"},
                ]
            },
        },
    },
}


def widget_definition(group: str) -> dict[str, Any]:
    """A CRD with defaults, validation, columns, status and scale."""
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "description": "What the widget shall be.",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1, "description": "Edge length in millimetres."},
                    "colour": {"type": "string", "default": "grey", "enum": ["grey", "red", "blue"]},
                    "replicas": {"type": "integer"},
                },
                "x-kubernetes-validations": [
                    {"rule": "self.colour != 'red' || self.size < 100", "message": "large widgets are never red"}
                ],
            },
            "status": {"type": "object", "properties": {"phase": {"type": "string"}, "replicas": {"type": "integer"}}},
        },
    }
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
        {"name": "Colour", "type": "string", "jsonPath": ".spec.colour", "priority": 1},
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "additionalPrinterColumns": columns,
                    "subresources": {
                        "status": {},
                        "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
                    },
                }
            ],
        },
    }


def text(document: object) -> str:
    return json.dumps(document)


def changed(document: dict[str, Any], **data: str) -> dict[str, Any]:
    return {**document, "data": data}


def test_create_get_describe_delete(kubectl: Kubectl) -> None:
    assert kubectl("create", "-f", "-", stdin=text(CONFIG_MAP)) == "configmap/settings created\n"
    assert "AlreadyExists" in kubectl.fails("create", "-f", "-", stdin=text(CONFIG_MAP))
    header, row = kubectl("get", "configmap", "settings").splitlines()
    assert header.split() == ["NAME", "DATA", "AGE"]
    assert row.split()[:2] == ["settings", "2"]
    assert kubectl("get", "cm", "-l", "app=web", "-o", "name") == "configmap/settings\n"
    assert kubectl("get", "cm", "-l", "app!=web", "-o", "name") == "configmap/kube-root-ca.crt\n"
    assert (
        kubectl("get", "cm", "--field-selector", "metadata.name=settings", "-o", "jsonpath={.items[*].data.size}")
        == "1"
    )
    described = kubectl("describe", "cm", "settings")
    assert "colour:\n----\nred\n" in described
    assert "Events:  <none>" in described
    assert 'configmap "settings" deleted' in kubectl("delete", "cm", "settings")
    assert kubectl.fails("get", "cm", "settings") == 'Error from server (NotFound): configmaps "settings" not found\n'
    assert kubectl("delete", "cm", "settings", "--ignore-not-found") == ""


def test_apply_client_side_removes_what_the_manifest_no_longer_has(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=text(CONFIG_MAP)) == "configmap/settings created\n"
    assert kubectl("apply", "-f", "-", stdin=text(CONFIG_MAP)) == "configmap/settings unchanged\n"
    kubectl("patch", "cm", "settings", "-p", '{"data":{"other":"kept"}}')
    assert (
        kubectl("apply", "-f", "-", stdin=text(changed(CONFIG_MAP, colour="blue"))) == "configmap/settings configured\n"
    )
    assert kubectl.object("cm", "settings")["data"] == {"colour": "blue", "other": "kept"}


def test_apply_client_side_merges_containers_by_name(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    manifest = json.loads(text(DEPLOYMENT))
    manifest["spec"]["template"]["spec"]["containers"] = [{"name": "side", "image": "registry.example/side:2"}]
    kubectl("apply", "-f", "-", stdin=text(manifest))
    containers = kubectl.object("deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert [(c["name"], c["image"]) for c in containers] == [("side", "registry.example/side:2")]


def test_apply_prunes_by_label(kubectl: Kubectl) -> None:
    second = {**CONFIG_MAP, "metadata": {"name": "second", "labels": {"app": "web"}}}
    kubectl("apply", "-f", "-", stdin=text({"apiVersion": "v1", "kind": "List", "items": [CONFIG_MAP, second]}))
    out = kubectl(
        "apply", "--prune", "-l", "app=web", "--prune-allowlist", "core/v1/ConfigMap", "-f", "-", stdin=text(second)
    )
    assert "configmap/settings pruned" in out


def test_apply_server_side_conflicts_and_is_forced(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert kubectl(*apply, stdin=text(DEPLOYMENT)) == "deployment.apps/web serverside-applied\n"
    kubectl("scale", "deployment", "web", "--replicas=5")
    error = kubectl.fails(*apply, stdin=text(DEPLOYMENT))
    assert 'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1' in error
    assert ".spec.replicas" in error
    kubectl(*apply, "--force-conflicts", stdin=text(DEPLOYMENT))
    assert kubectl.object("deployment", "web")["spec"]["replicas"] == 2
    without = json.loads(text(DEPLOYMENT))
    del without["spec"]["replicas"]
    kubectl(*apply, "--field-manager=kubectl", stdin=text(without))
    assert kubectl.object("deployment", "web")["spec"]["replicas"] == 1, "nobody owns it any more: the default"


def test_apply_moves_from_client_side_to_server_side(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=text(CONFIG_MAP))
    kubectl("apply", "--server-side", "-f", "-", stdin=text(changed(CONFIG_MAP, colour="blue")))
    found = kubectl.object("cm", "settings", "--show-managed-fields")
    assert found["data"] == {"colour": "blue"}
    assert {(m["manager"], m["operation"]) for m in found["metadata"]["managedFields"]} == {
        ("kubectl", "Apply"),
        ("kubectl-last-applied", "Apply"),
    }


def test_edit(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("create", "-f", "-", stdin=text(CONFIG_MAP))
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/colour: red/colour: green/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    out = kubectl("edit", "cm", "settings", environment={"KUBE_EDITOR": str(editor)})
    assert out == "configmap/settings edited\n"
    assert kubectl.object("cm", "settings")["data"]["colour"] == "green"
    assert "cancelled" in kubectl.run("edit", "cm", "settings", environment={"KUBE_EDITOR": "true"}).stderr


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "new"}]}}}}),
        ("merge", {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "new"}]}}}}),
        ("json", [{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "new"}]),
    ],
)
def test_patch(kubectl: Kubectl, kind: str, patch: object) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    assert (
        kubectl("patch", "deployment", "web", "--type", kind, "-p", json.dumps(patch))
        == "deployment.apps/web patched\n"
    )
    # The controller's status comes in between now and then, and is a change to kubectl.
    again = [kubectl("patch", "deployment", "web", "--type", kind, "-p", json.dumps(patch)) for _ in range(10)]
    assert any("no change" in said for said in again)
    containers = kubectl.object("deployment", "web")["spec"]["template"]["spec"]["containers"]
    expected = [("side", "new")] if kind == "merge" else [("web", "registry.example/web:1"), ("side", "new")]
    assert [(c["name"], c["image"]) for c in containers] == expected


def test_patch_of_subresources(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl("patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    assert kubectl.object("deployment", "web")["spec"]["replicas"] == 4
    assert kubectl.object("deployment", "web", "--subresource=scale")["kind"] == "Scale"


def test_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(CONFIG_MAP))
    assert kubectl("label", "cm", "settings", "tier=back") == "configmap/settings labeled\n"
    assert "overwrite is false" in kubectl.fails("label", "cm", "settings", "tier=front")
    kubectl("label", "cm", "settings", "tier=front", "--overwrite")
    assert kubectl("label", "cm", "settings", "app-") == "configmap/settings unlabeled\n"
    assert kubectl("annotate", "cm", "settings", "note=a b") == "configmap/settings annotated\n"
    metadata = kubectl.object("cm", "settings")["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"tier": "front"}, {"note": "a b"})
    assert "invalid label value" in kubectl.fails("label", "cm", "settings", "tier=-no-", "--overwrite")


def test_wait_for_a_condition_a_field_and_a_deletion(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    assert "condition met" in kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    assert "condition met" in kubectl("wait", "deployment/web", "--for=condition=Available=False", "--timeout=20s")
    assert "timed out" in kubectl.fails("wait", "deployment/web", "--for=condition=Available", "--timeout=1s")
    waiting = subprocess.Popen(
        kubectl.command("wait", "deployment/web", "--for=delete", "--timeout=30s"), stdout=subprocess.PIPE, text=True
    )
    kubectl("delete", "deployment", "web")
    out, _ = waiting.communicate(timeout=40)
    assert waiting.returncode == 0
    assert "condition met" in out or not out


def test_delete_takes_dependents_along_or_leaves_them(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    kubectl("delete", "deployment", "web", "--cascade=orphan")
    assert len(kubectl.object("replicasets")["items"]) == 1
    kubectl("delete", "replicasets", "--all", "--cascade=foreground")
    deadline = time.monotonic() + 20
    while kubectl.object("pods")["items"]:
        assert time.monotonic() < deadline, "the pods are still there"
        time.sleep(0.2)


def test_watch(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(CONFIG_MAP))
    watching = subprocess.Popen(
        kubectl.command("get", "cm", "-l", "app=web", "--watch", "--output-watch-events", "--no-headers"),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        with watching.stdout as lines:
            assert lines.readline().split()[:3] == ["ADDED", "settings", "2"]
            kubectl("patch", "cm", "settings", "-p", '{"data":{"more":"1"}}')
            assert lines.readline().split()[:3] == ["MODIFIED", "settings", "3"]
            kubectl("label", "cm", "settings", "app-")
            assert lines.readline().split()[:2] == ["DELETED", "settings"], "it left the selection"
    finally:
        watching.terminate()
        watching.wait(timeout=10)


def test_diff(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=text(CONFIG_MAP))
    assert kubectl.run("diff", "-f", "-", stdin=text(CONFIG_MAP)).status == 0
    for more in ((), ("--server-side", "--force-conflicts")):
        outcome = kubectl.run("diff", *more, "-f", "-", stdin=text(changed(CONFIG_MAP, colour="blue", size="1")))
        assert outcome.status == 1
        lines = [line for line in outcome.stdout.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        assert [line for line in lines if "last-applied" not in line and "{" not in line][:2] == [
            "-  colour: red",
            "+  colour: blue",
        ]
    assert kubectl.object("cm", "settings")["data"]["colour"] == "red"


def test_dry_run_and_validation(kubectl: Kubectl) -> None:
    assert "(server dry run)" in kubectl("create", "--dry-run=server", "-f", "-", stdin=text(CONFIG_MAP))
    assert "not found" in kubectl.fails("get", "cm", "settings")
    unknown = {**CONFIG_MAP, "dta": {"a": "b"}}
    assert 'unknown field "dta"' in kubectl.fails("create", "-f", "-", stdin=text(unknown))
    warned = kubectl.run("create", "--validate=warn", "-f", "-", stdin=text(unknown))
    assert warned.status == 0
    assert 'Warning: unknown field "dta"' in warned.stderr
    wrong = json.loads(text(DEPLOYMENT))
    wrong["spec"]["replicas"] = -1
    error = kubectl.fails("create", "-f", "-", stdin=text(wrong))
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in error


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    names = kubectl("api-resources", "-o", "name").split()
    assert {"configmaps", "deployments.apps", "customresourcedefinitions.apiextensions.k8s.io"} <= set(names)
    assert {"v1", "apps/v1", "batch/v1"} <= set(kubectl("api-versions").split())
    explained = kubectl("explain", "deployment.spec.replicas")
    assert "replicas <integer>" in explained
    assert "GROUP:      apps" in explained
    assert "strategy" in kubectl("explain", "deployments", "--recursive")
    assert 'field "nothing" does not exist' in kubectl.fails("explain", "pods.nothing")
    assert json.loads(kubectl("version", "-o", "json"))["serverVersion"]["major"] == "1"
    assert kubectl("get", "--raw", "/readyz") == "ok"


def test_auth(kubectl: Kubectl) -> None:
    who = f"system:serviceaccount:{kubectl.namespace}:robot"
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
    kubectl("create", "rolebinding", "robot", "--role=reader", f"--serviceaccount={kubectl.namespace}:robot")
    assert kubectl("auth", "can-i", "list", "configmaps", "--as", who) == "yes\n"
    refused = kubectl.run("auth", "can-i", "delete", "configmaps", "--as", who)
    assert (refused.status, refused.stdout) == (1, "no\n")
    rules = [line.split() for line in kubectl("auth", "can-i", "--list", "--as", who).splitlines()]
    assert ["configmaps", "[]", "[]", "[get", "list]"] in rules
    assert "system:masters" in kubectl("auth", "whoami")
    token = kubectl("create", "token", "robot").strip()
    assert kubectl("get", "cm", "-o", "name", "--as", who) == "configmap/kube-root-ca.crt\n"
    identity = kubectl("auth", "whoami", "--as", who, "-o", "jsonpath={.status.userInfo.username}")
    assert identity == who
    assert token.count(".") == 2
    error = kubectl.fails("get", "secrets", "--as", who)
    assert (
        f'User "{who}" cannot list resource "secrets" in API group "" in the namespace "{kubectl.namespace}"' in error
    )


def test_scale_is_owned_as_a_subresource(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl("scale", "deployment", "web", "--replicas=4")
    entries = kubectl.object("deployment", "web", "--show-managed-fields")["metadata"]["managedFields"]
    owners = {
        (m["manager"], m.get("subresource", "")) for m in entries if "f:replicas" in m["fieldsV1"].get("f:spec", {})
    }
    assert owners == {("kubectl", "scale")}


def test_secrets(kubectl: Kubectl) -> None:
    kubectl("create", "secret", "generic", "login", "--from-literal=password=sesame")
    assert kubectl.object("secret", "login")["data"] == {"password": "c2VzYW1l"}
    assert "sesame" not in kubectl("describe", "secret", "login")
    assert "password:  6 bytes" in kubectl("describe", "secret", "login")
    assert kubectl("get", "secret", "login", "--no-headers").split()[:3] == ["login", "Opaque", "1"]


def test_create_of_many_kinds(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=registry.example/web:1", "--replicas=1", "--port=80")
    kubectl("expose", "deployment", "web", "--port=80")
    kubectl("autoscale", "deployment", "web", "--max=3")
    kubectl("create", "job", "once", "--image=registry.example/job:1")
    kubectl("create", "cronjob", "often", "--image=registry.example/job:1", "--schedule=*/5 * * * *")
    kubectl("create", "job", "now", "--from=cronjob/often")
    kubectl("create", "ingress", "front", "--rule=web.example/*=web:80")
    kubectl("create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=1")
    kubectl("create", "quota", "few", "--hard=pods=20")
    kubectl("run", "single", "--image=registry.example/web:1", "--env=A=b", "--labels=app=single")
    kubectl("set", "env", "deployment/web", "A=b")
    kubectl("set", "resources", "deployment/web", "--requests=cpu=10m,memory=16Mi")
    kubectl("rollout", "restart", "deployment/web")
    names = kubectl("get", "all,ingress,pdb,quota,endpointslices", "-o", "name").split()
    assert {
        "deployment.apps/web",
        "service/web",
        "horizontalpodautoscaler.autoscaling/web",
        "job.batch/once",
        "job.batch/now",
        "cronjob.batch/often",
        "ingress.networking.k8s.io/front",
        "poddisruptionbudget.policy/web",
        "resourcequota/few",
        "pod/single",
    } <= set(names)
    template = kubectl.object("deployment", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["env"] == [{"name": "A", "value": "b"}]
    assert template["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "10m", "memory": "16Mi"}
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    assert "Replicas:               1 desired" in kubectl("describe", "deployment", "web")


def test_namespaces(kubectl: Kubectl) -> None:
    name = f"{kubectl.namespace}-other"
    kubectl("create", "namespace", name)
    kubectl("create", "-f", "-", "-n", name, stdin=text(CONFIG_MAP))
    assert kubectl("get", "namespace", name, "--no-headers").split()[:2] == [name, "Active"]
    assert f"Name:         {name}" in kubectl("describe", "namespace", name)
    kubectl("delete", "namespace", name, "--timeout=30s")
    assert "NotFound" in kubectl.fails("get", "cm", "settings", "-n", name)
    assert "NotFound" in kubectl.fails("get", "namespace", name)


def test_custom_resources(kubectl: Kubectl) -> None:
    group = f"{kubectl.namespace}.example.com"
    definition = widget_definition(group)
    assert "created" in kubectl("apply", "-f", "-", stdin=yaml.safe_dump(definition))
    kubectl("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=20s")
    try:
        widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "one"}, "spec": {"size": 3}}
        kubectl("apply", "-f", "-", stdin=text(widget))
        assert kubectl.object(f"widgets.{group}", "one")["spec"] == {"size": 3, "colour": "grey"}
        header, row = kubectl("get", f"widgets.{group}").splitlines()
        assert (header.split(), row.split()) == (["NAME", "SIZE", "PHASE"], ["one", "3"])
        assert kubectl("get", f"widgets.{group}", "-o", "wide").splitlines()[0].split()[-1] == "COLOUR"
        explained = kubectl("explain", "widget.spec.size", "--api-version", f"{group}/v1")
        assert "Edge length in millimetres." in explained
        assert "Widget" in kubectl("api-resources", "--api-group", group)
        kubectl("apply", "-f", "-", stdin=text({**widget, "spec": {"size": 4}}))
        kubectl("patch", f"widgets.{group}", "one", "--type=merge", "-p", '{"spec":{"replicas":2}}')
        strategic = kubectl.fails("patch", f"widgets.{group}", "one", "--type=strategic", "-p", "{}")
        assert (
            "application/strategic-merge-patch+json is not supported" in strategic
            or "UnsupportedMediaType" in strategic
        )
        kubectl(
            "patch",
            f"widgets.{group}",
            "one",
            "--subresource=status",
            "--type=merge",
            "-p",
            '{"status":{"phase":"Up"}}',
        )
        kubectl("wait", f"widgets.{group}/one", "--for=jsonpath={.status.phase}=Up", "--timeout=5s")
        kubectl("scale", f"widgets.{group}", "one", "--replicas=3")
        assert kubectl.object(f"widgets.{group}", "one")["spec"] == {"size": 4, "colour": "grey", "replicas": 3}
        assert "Phase:  Up" in kubectl("describe", f"widgets.{group}", "one")
        too_small = kubectl.fails("apply", "-f", "-", stdin=text({**widget, "spec": {"size": 0}}))
        assert "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1" in too_small
        rule = kubectl.fails("apply", "-f", "-", stdin=text({**widget, "spec": {"size": 200, "colour": "red"}}))
        assert "large widgets are never red" in rule
        strict = kubectl.fails("apply", "-f", "-", stdin=text({**widget, "spec": {"size": 3, "sise": 3}}))
        assert "unknown field" in strict
        diff = kubectl.run("diff", "-f", "-", stdin=text({**widget, "spec": {"size": 5}}))
        assert diff.status == 1
        assert "+  size: 5" in diff.stdout
    finally:
        kubectl("delete", f"crd/widgets.{group}", "--timeout=30s")
    assert "the server doesn't have a resource type" in kubectl.fails("get", f"widgets.{group}")


def test_replace_and_conflict(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(CONFIG_MAP))
    first = kubectl.object("cm", "settings")
    kubectl("replace", "-f", "-", stdin=text({**first, "data": {"a": "1"}}))
    assert "the object has been modified" in kubectl.fails("replace", "-f", "-", stdin=text(first))
    kubectl("replace", "--force", "-f", "-", stdin=text(CONFIG_MAP))
    assert kubectl.object("cm", "settings")["metadata"]["uid"] != first["metadata"]["uid"]


def test_events_and_pods_without_a_node(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    assert "ScalingReplicaSet" in kubectl("events", "--for=deployment/web")
    assert "SuccessfulCreate" in kubectl("get", "events", "--sort-by=.lastTimestamp")
    pod = kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    assert "does not have a host assigned" in kubectl.fails("exec", pod, "--", "ls")
    assert kubectl("get", "pod", pod, "--no-headers").split()[:3] == [pod, "0/2", "Pending"]
