"""k8s.cni.cncf.io/v1: networks beside the pod network that pods can be attached to."""

from kobune.api.cni.types import NetworkAttachmentDefinition, NetworkAttachmentDefinitionSpec

__all__ = ["NetworkAttachmentDefinition", "NetworkAttachmentDefinitionSpec"]
