"""Names of Kobune's own objects; components find each other by them."""

from typing import Final

__all__ = [
    "CA_SECRET",
    "COMMON",
    "COMPONENTS",
    "HANDLER_CLIENT_NAME",
    "HANDLER_CLIENT_SECRET",
    "HANDLER_SERVER_NAME",
    "HANDLER_SERVER_SECRET",
    "KUBEVIRT_NAME",
    "KUBEVIRT_NAMESPACE",
    "NAMESPACE",
    "PART_OF",
    "VENDOR",
    "VIRT_API_SECRET",
    "VIRT_API_SERVICE",
    "service_account",
]

NAMESPACE: Final = "kobune"
KUBEVIRT_NAMESPACE: Final = "kubevirt"
"""Where the KubeVirt resource is, and its name: where people and tools look for it."""
KUBEVIRT_NAME: Final = "kubevirt"
VIRT_API_SERVICE: Final = "kobune-virt-api"

CA_SECRET: Final = "kobune-ca"  # noqa: S105 - the name of a Secret
VIRT_API_SECRET: Final = "kobune-virt-api-certs"  # noqa: S105
HANDLER_SERVER_SECRET: Final = "kobune-virt-handler-server-certs"  # noqa: S105
HANDLER_CLIENT_SECRET: Final = "kobune-virt-handler-client-certs"  # noqa: S105

HANDLER_SERVER_NAME: Final = "kobune-virt-handler"
"""DNS name in the certificate of every virt-handler; who dials one checks this name, whatever the address."""
HANDLER_CLIENT_NAME: Final = "kubevirt.io:system:client:virt-handler"
"""Common name of the certificate that virt-handler's server lets in."""

COMPONENTS: Final = ("virt-api", "virt-controller", "virt-handler")

PART_OF: Final = {"app.kubernetes.io/part-of": "kobune", "app.kubernetes.io/managed-by": "kobune-operator"}

VENDOR: Final = "kobune.io"
"""Of the instancetypes and preferences that come with an installation."""
COMMON: Final = {**PART_OF, "app.kubernetes.io/component": "common-instancetypes"}
"""Labels of the instancetypes and preferences that come with an installation."""


def service_account(component: str) -> str:
    """The ServiceAccount of a component."""
    return f"kobune-{component}"
