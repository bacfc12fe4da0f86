"""Descriptions of secondary networks. Source: the Network Plumbing Working Group's definition, k8s.cni.cncf.io/v1."""

from kobune.api.meta import Object, ObjectMeta

__all__ = ["NetworkAttachmentDefinition", "NetworkAttachmentDefinitionSpec"]


class NetworkAttachmentDefinitionSpec(Object, frozen=True, kw_only=True):
    """`config` is JSON: a CNI configuration or list of plugins. Empty: a file of the definition's name on the node."""

    config: str = ""


class NetworkAttachmentDefinition(Object, frozen=True, kw_only=True):
    """A network that pods of its namespace (and of others, by `namespace/name`) may be attached to."""

    metadata: ObjectMeta = ObjectMeta()
    spec: NetworkAttachmentDefinitionSpec = NetworkAttachmentDefinitionSpec()
