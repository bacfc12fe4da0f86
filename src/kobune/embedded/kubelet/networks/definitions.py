"""NetworkAttachmentDefinitions: how a node reads them, and its right to."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from kobune.base.errors import KobuneError
from kobune.host.cni import InvalidNetwork
from kobune.kube.client.companions import NETWORK_ATTACHMENT_DEFINITIONS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource

__all__ = ["USER", "definitions", "install", "no_definitions"]

USER: Final = "system:kobune:network-attachments"
_FIELD_MANAGER: Final = "kobune-network-attachments"
_RBAC: Final = "rbac.authorization.k8s.io"


def definitions(client: Client) -> Callable[[str, str], Awaitable[str]]:
    """Reads `spec.config` from the API, each time: an attachment keeps the text that it was made with."""

    async def read(namespace: str, name: str) -> str:
        try:
            found = await client.get(NETWORK_ATTACHMENT_DEFINITIONS, name, namespace)
        except NotFound:
            raise InvalidNetwork(
                f"NetworkAttachmentDefinition {namespace}/{name} does not exist; create it, or change the annotation"
            ) from None
        config = found.spec.config
        if not config.strip():
            raise InvalidNetwork(f"NetworkAttachmentDefinition {namespace}/{name} has no spec.config")
        return config

    return read


async def no_definitions(namespace: str, name: str) -> str:
    """For a kubelet without the right to read them."""
    raise KobuneError(f"this node cannot read NetworkAttachmentDefinition {namespace}/{name}: start it anew")


async def install(client: Client) -> None:
    """The right of `USER` to read definitions, and nothing else. Idempotent."""
    definition = NETWORK_ATTACHMENT_DEFINITIONS
    rules = [{"apiGroups": [definition.group], "resources": [definition.plural], "verbs": ["get"]}]
    subject = {"apiGroup": _RBAC, "kind": "User", "name": USER}
    role: Resource[dict[str, Any]] = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", False, dict)
    binding: Resource[dict[str, Any]] = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False, dict)
    reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": USER}
    await client.apply(role, {"metadata": {"name": USER}, "rules": rules}, field_manager=_FIELD_MANAGER, force=True)
    await client.apply(
        binding,
        {"metadata": {"name": USER}, "roleRef": reference, "subjects": [subject]},
        field_manager=_FIELD_MANAGER,
        force=True,
    )
