"""What a namespace's identities need. Pure.

Source: the Kubernetes documentation of service accounts (`default` in each namespace) and of projected volumes
(ConfigMap `kube-root-ca.crt` with the API server's authority).
"""

from dataclasses import dataclass

from kobune.api.core import ConfigMap, Namespace
from kobune.kube.client.core import CONFIG_MAPS, SERVICE_ACCOUNTS
from kobune.kube.client.resource import Key
from kobune.kube.client.types import Patch
from kobune.kube.runtime.decision import Action, Create, Decision, PatchObject

__all__ = ["ACCOUNT", "AUTHORITY", "Observed", "decide"]

ACCOUNT = "default"
AUTHORITY = "kube-root-ca.crt"
_FILE = "ca.crt"
_ANNOTATIONS = {
    "kubernetes.io/description": "The authority that signs the API server's certificate, for pods to trust."
}


@dataclass(frozen=True, slots=True)
class Observed:
    """A namespace and what it has of these."""

    namespace: Namespace
    has_account: bool
    authority: ConfigMap | None
    ca_pem: str
    """The API server's authority; empty when it is not known, and then nothing is published."""


def decide(seen: Observed) -> Decision[Action]:
    """Create what is missing, restore what was changed, leave a namespace that ends alone."""
    metadata = seen.namespace.metadata
    if metadata.deletion_timestamp is not None or seen.namespace.status.phase == "Terminating":
        return Decision()
    actions: list[Action] = []
    if not seen.has_account:
        actions.append(Create(SERVICE_ACCOUNTS, metadata.name, {"metadata": {"name": ACCOUNT}}, None))
    if seen.ca_pem:
        data = {_FILE: seen.ca_pem}
        if seen.authority is None:
            obj = {"metadata": {"name": AUTHORITY, "annotations": _ANNOTATIONS}, "data": data}
            actions.append(Create(CONFIG_MAPS, metadata.name, obj, None))
        elif seen.authority.data != data:
            gone = {name: None for name in seen.authority.data if name != _FILE}
            actions.append(
                PatchObject(CONFIG_MAPS, Key(metadata.name, AUTHORITY), Patch.merge({"data": {**gone, **data}}))
            )
    return Decision(tuple(actions))
