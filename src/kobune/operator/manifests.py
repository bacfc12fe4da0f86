"""The plain objects of an installation, in the order in which they are applied."""

from typing import Any

from kobune.api.crd import all_definitions, companion_definitions
from kobune.operator.names import (
    COMPONENTS,
    KUBEVIRT_NAME,
    KUBEVIRT_NAMESPACE,
    NAMESPACE,
    PART_OF,
    VIRT_API_SERVICE,
    service_account,
)
from kobune.operator.roles import roles
from kobune.operator.webhooks import api_services, webhook_configurations

__all__ = ["base_manifests", "kubevirt_resource", "serving_manifests"]

Manifest = dict[str, Any]
VIRT_API_PORT = 8443


def base_manifests(namespace: str = NAMESPACE, *, companions: bool = False) -> list[Manifest]:
    """What needs nothing else: definitions (of others too, if asked), accounts, rights, the Service."""
    definitions = [*all_definitions(), *(companion_definitions() if companions else ())]
    return [*definitions, *_accounts(namespace), *roles(namespace), _service(namespace)]


def serving_manifests(ca_certificate: bytes, namespace: str = NAMESPACE) -> list[Manifest]:
    """What tells the API server to call virt-api; `ca_certificate` (PEM) signed its certificate."""
    return [*webhook_configurations(namespace, ca_certificate), *api_services(namespace, ca_certificate)]


def kubevirt_resource(namespace: str = KUBEVIRT_NAMESPACE, name: str = KUBEVIRT_NAME) -> Manifest:
    """The installation itself; its configuration belongs to the administrator, so only what is needed is set."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(PART_OF)},
        "spec": {},
    }


def namespace_manifest(namespace: str = NAMESPACE) -> Manifest:
    """The namespace of Kobune's components, or of the KubeVirt resource."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": dict(PART_OF)},
    }


def _accounts(namespace: str) -> list[Manifest]:
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": service_account(component), "namespace": namespace, "labels": dict(PART_OF)},
        }
        for component in COMPONENTS
    ]


def _service(namespace: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": VIRT_API_SERVICE, "namespace": namespace, "labels": dict(PART_OF)},
        "spec": {
            "selector": {"kobune.io/component": "virt-api"},
            "ports": [{"name": "https", "port": 443, "targetPort": VIRT_API_PORT, "protocol": "TCP"}],
        },
    }
