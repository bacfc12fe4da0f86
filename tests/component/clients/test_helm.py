"""Helm itself (its Go libraries) installs, upgrades, rolls back and uninstalls a chart."""

from pathlib import Path
from typing import Any

import helm_python
import pytest

from support.apiprocess import ApiProcess
from support.kubectl import KUBECTLS, Kubectl

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: boat\nversion: 1.0.0\n",
    "values.yaml": "colour: red\nreplicas: 1\nsecond: true\n",
    "crds/sails.yaml": """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sails.harbour.example}
spec:
  group: harbour.example
  scope: Namespaced
  names: {plural: sails, singular: sail, kind: Sail}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object,
      properties: {area: {type: integer}}}}}}}
""",
    "templates/all.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-settings"}
data: {colour: "{{ .Values.colour }}"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: boat}}
  template:
    metadata: {labels: {app: boat}}
    spec: {containers: [{name: boat, image: "registry.example/boat:1"}]}
---
apiVersion: harbour.example/v1
kind: Sail
metadata: {name: "{{ .Release.Name }}"}
spec: {area: 12}
{{ if .Values.second }}
---
apiVersion: v1
kind: Service
metadata: {name: "{{ .Release.Name }}"}
spec: {selector: {app: boat}, ports: [{port: 80}]}
{{ end }}
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> Any:
    for name, text in CHART.items():
        path = tmp_path / "boat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return helm_python.Chart.load(str(tmp_path / "boat"))


@pytest.fixture
def look(api: ApiProcess, namespace: str) -> Kubectl:
    return Kubectl(KUBECTLS[0], api.kubeconfig, namespace)


def test_a_release_lives_as_helm_users_expect(api: ApiProcess, namespace: str, chart: Any, look: Kubectl) -> None:
    helm = helm_python.Config(kubeconfig_path=str(api.kubeconfig), namespace=namespace)
    helm.check_reachable()

    assert helm.install(chart, "tub")["status"] == "deployed"
    assert look("get", "sails", "tub", "-o", "jsonpath={.spec.area}") == "12"
    assert look("get", "service", "tub", "-o", "jsonpath={.spec.ports[0].port}") == "80"

    upgraded = helm.upgrade(chart, "tub", values={"colour": "blue", "replicas": 3, "second": False})
    assert (upgraded["status"], upgraded["revision"]) == ("deployed", 2)
    assert look("get", "configmap", "tub-settings", "-o", "jsonpath={.data.colour}") == "blue"
    assert look("get", "deployment", "tub", "-o", "jsonpath={.spec.replicas}") == "3"
    assert look("get", "services", "-o", "name") == ""

    helm.rollback("tub", version=1)
    assert look("get", "configmap", "tub-settings", "-o", "jsonpath={.data.colour}") == "red"
    assert look("get", "services", "-o", "name").strip() == "service/tub"
    assert [entry["status"] for entry in helm.history("tub")] == ["superseded", "superseded", "deployed"]

    helm.uninstall("tub")
    assert look("get", "configmap,service,deployment,sails", "-o", "name").strip() == "configmap/kube-root-ca.crt"


def test_a_dry_run_against_the_server_stores_nothing(
    api: ApiProcess, namespace: str, chart: Any, look: Kubectl
) -> None:
    helm = helm_python.Config(kubeconfig_path=str(api.kubeconfig), namespace=namespace)
    helm.install(chart, "ghost", dry_run="server")
    assert "ghost" not in look("get", "configmap,service,deployment,secret", "-o", "name")
