"""NodeRestriction: a node changes only what is its own, and gives itself no labels that others trust.

Owns: the checks that need an object's content; what needs only the request is decided in rbac/node.py.
Source: Kubernetes' NodeRestriction plugin (its rules and texts) and the list of labels that kubelets may set.
"""

from typing import Any

from kobune.embedded.apiserver.rbac.node import LEASE_NAMESPACE, node_of
from kobune.embedded.apiserver.rbac.node_graph import MIRROR_ANNOTATION, pod_references
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden

__all__ = ["NodeRestriction", "label_problem", "mirror_problem"]

Object = dict[str, Any]

_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def label_problem(new: dict[str, str], old: dict[str, str]) -> str:
    """Why a node may not change its labels from `old` to `new`; empty when it may."""
    changed = sorted(key for key in new.keys() | old.keys() if new.get(key) != old.get(key))
    bad = [key for key in changed if not _settable(key)]
    return "is not allowed to modify labels: " + ", ".join(bad) if bad else ""


def _settable(label: str) -> bool:
    domain = label.rpartition("/")[0]
    if _within(domain, "node-restriction.kubernetes.io"):
        return False
    if not (_within(domain, "kubernetes.io") or _within(domain, "k8s.io")):
        return True
    return label in _KUBELET_LABELS or any(_within(domain, allowed) for allowed in _KUBELET_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)


def mirror_problem(pod: Object, node: str, node_uid: str) -> str:
    """Why a node may not create this pod; empty when it may. `node_uid` is empty while the node is not registered."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    if MIRROR_ANNOTATION not in (metadata.get("annotations") or {}):
        return f"pod does not have {MIRROR_ANNOTATION!r} annotation, node {node!r} can only create mirror pods"
    if spec.get("nodeName") != node:
        return f"node {node!r} can only create pods with spec.nodeName set to itself"
    owners = metadata.get("ownerReferences") or []
    if len(owners) != 1:
        return f"node {node!r} can only create pods with a single owner reference set to itself"
    owner = owners[0]
    if (
        (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node)
        or owner.get("controller") is not True
        or owner.get("blockOwnerDeletion")
    ):
        return f"node {node!r} can only create pods with an owner reference set to itself"
    if not node_uid or owner.get("uid") != node_uid:
        return f"node {node!r} UID mismatch: expected {owner.get('uid', '')} got {node_uid}"
    # The annotation hides what the pod names from the graph of the node's rights, not from this check.
    annotations = {key: value for key, value in metadata["annotations"].items() if key != MIRROR_ANNOTATION}
    named = {resource for resource, _ in pod_references({**pod, "metadata": {**metadata, "annotations": annotations}})}
    if "serviceaccounts" in named:
        return f"node {node!r} can not create pods that reference a service account"
    volumes = spec.get("volumes") or ()
    projected = [s for volume in volumes for s in (volume.get("projected") or {}).get("sources") or ()]
    if named or any(source.get("serviceAccountToken") is not None for source in projected):
        what = ", ".join(sorted(named)) or "service account tokens"
        return f"node {node!r} can not create pods that reference {what}"
    return ""


class NodeRestriction:
    """Admission step, first after the namespace's: what other steps add to a pod is none of the node's."""

    def __init__(self, storage: Storage) -> None:
        self._nodes = storage.collection("core/nodes")
        self._pods = storage.collection("core/pods")

    async def validate(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> None:
        """Nothing beyond `mutate`."""

    async def mutate(self, call: Call, operation: str, obj: Object | None, old: Object | None) -> None:
        """Refuse what is not the node's own. Raises StatusError 403."""
        node = node_of(call.user)
        if node is None:
            return
        info = call.resource.info
        match info.group, info.plural:
            case "", "pods":
                self._pod(call, node, operation, obj, old)
            case "", "nodes":
                self._node(call, node, obj, old)
            case "coordination.k8s.io", "leases":
                state: Object = obj or old or {}
                if state["metadata"].get("namespace", call.info.namespace) != LEASE_NAMESPACE:
                    raise _refused(call, f"can only access leases in the {LEASE_NAMESPACE!r} system namespace")
                self._named(call, node, state)
            case "storage.k8s.io", "csinodes":
                self._named(call, node, obj or old or {})

    def check_token(self, call: Call, bound: tuple[str, str, str] | None) -> None:
        """A node gets tokens only for its own pods; `bound` is (kind, name, uid as asked for). Raises StatusError."""
        node = node_of(call.user)
        if node is None:
            return
        if bound is None or bound[0] != "Pod" or not bound[1] or not bound[2]:
            raise _refused(call, "node requested token not bound to a pod")
        pod = self._pods.get(call.info.namespace, bound[1])
        if pod is None or pod.field("spec.nodeName") != node:
            raise _refused(call, "node requested token bound to a pod scheduled on a different node")

    def _pod(self, call: Call, node: str, operation: str, obj: Object | None, old: Object | None) -> None:
        if operation == "CREATE":
            own = self._nodes.get("", node)
            problem = mirror_problem(obj or {}, node, own.object()["metadata"]["uid"] if own else "")
            if problem:
                raise _refused(call, problem)
            return
        if ((old or {}).get("spec") or {}).get("nodeName") != node:
            what = "delete pods with" if operation == "DELETE" else "update pod status for pods with"
            raise _refused(call, f"node {node!r} can only {what} spec.nodeName set to itself")
        if obj is not None and old is not None:
            if call.info.subresource != "status":
                raise _refused(call, f"node {node!r} may change the status of pods only")
            if _labels(obj) != _labels(old):
                raise _refused(call, f"node {node!r} cannot update labels through pod status")

    def _node(self, call: Call, node: str, obj: Object | None, old: Object | None) -> None:
        name = (obj or old or {}).get("metadata", {}).get("name")
        if name != node:
            raise _refused(call, f"node {node!r} is not allowed to modify node {name!r}")
        if obj is None:
            raise _refused(call, f"node {node!r} cannot delete itself")
        problem = label_problem(_labels(obj), _labels(old) if old else {})
        if problem:
            raise _refused(call, f"node {node!r} {problem}")
        if old is not None:
            if _part(obj, "spec").get("taints") != _part(old, "spec").get("taints"):
                raise _refused(call, f"node {node!r} is not allowed to modify taints")
            if obj["metadata"].get("ownerReferences") != old["metadata"].get("ownerReferences"):
                raise _refused(call, f"node {node!r} is not allowed to modify ownerReferences")

    @staticmethod
    def _named(call: Call, node: str, state: Object) -> None:
        name = state.get("metadata", {}).get("name") or call.info.name
        if name != node:
            what = f"{call.resource.info.kind} {name!r}"
            raise _refused(call, f"node {node!r} can only access an object with its own name, not {what}")


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _part(obj: Object, name: str) -> Object:
    return obj.get(name) or {}


def _refused(call: Call, detail: str) -> StatusError:
    info = call.info
    return forbidden(info.group, info.resource, info.name, detail)
