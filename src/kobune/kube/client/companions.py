"""How kinds that other projects define are addressed."""

from kobune.api.cni import NetworkAttachmentDefinition
from kobune.kube.client.resource import Resource

__all__ = ["NETWORK_ATTACHMENT_DEFINITIONS"]

NETWORK_ATTACHMENT_DEFINITIONS = Resource(
    "k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition", True,
    NetworkAttachmentDefinition, status_subresource=False,
)  # fmt: skip
