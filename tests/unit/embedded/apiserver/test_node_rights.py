"""What a node may do: the graph of what its pods name, the authorizer, and NodeRestriction."""

from typing import Any

import pytest

from kobune.embedded.apiserver.admission.chain import AdmissionChain
from kobune.embedded.apiserver.admission.nodes import NodeRestriction, label_problem, mirror_problem
from kobune.embedded.apiserver.http.message import Peer, Request
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.rbac.node import node_of
from kobune.embedded.apiserver.rbac.node_graph import pod_references, volume_secrets
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call, Services
from kobune.embedded.apiserver.rest.route import RequestInfo
from kobune.embedded.apiserver.schema import builtin
from kobune.embedded.apiserver.status import StatusError
from kobune.embedded.apiserver.user import ALL_AUTHENTICATED, User
from kobune.embedded.store import MemoryJournal, RevisionLog

Object = dict[str, Any]
NODE = User("system:node:a", ("system:nodes", ALL_AUTHENTICATED))
SPEC = {
    "nodeName": "a",
    "serviceAccountName": "runner",
    "imagePullSecrets": [{"name": "pull"}],
    "containers": [
        {
            "name": "main",
            "envFrom": [{"secretRef": {"name": "env-from"}}, {"configMapRef": {"name": "map-from"}}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "map-env", "key": "k"}}},
            ],
        }
    ],
    "initContainers": [{"name": "first", "envFrom": [{"secretRef": {"name": "init"}}]}],
    "volumes": [
        {"name": "v1", "secret": {"secretName": "volume"}},
        {"name": "v2", "configMap": {"name": "map-volume"}},
        {"name": "v3", "projected": {"sources": [{"secret": {"name": "projected"}}, {"serviceAccountToken": {}}]}},
        {"name": "v4", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "v6", "emptyDir": {}},
    ],
}
NAMED = {
    "secrets": {"pull", "env-from", "env", "init", "volume", "projected"},
    "configmaps": {"map-from", "map-env", "map-volume"},
    "persistentvolumeclaims": {"claim", "p-scratch"},
    "serviceaccounts": {"runner"},
}
MIRROR = {"kubernetes.io/config.mirror": "x"}


class World:
    """A store with a pod `p` on node `a`, one `q` on node `b`, the claim's volume, and both nodes."""

    def __init__(self) -> None:
        self.storage = Storage(RevisionLog(MemoryJournal()))
        self.storage.open()
        self.authorizer = Authorizer(self.storage)
        self.registry = Registry(self.storage)
        for info in builtin.resources():
            self.registry.add(info)
        self.services = Services(self.storage, self.registry, self.authorizer, AdmissionChain([]))
        self.restriction = NodeRestriction(self.storage)

    async def put(self, resource: str, kind: str, name: str, namespace: str = "", **content: Any) -> None:
        metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
        metadata |= content.pop("metadata", {})
        obj = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **content}
        found = self.storage.collection(resource).get(namespace, name)
        await self.storage.put(self.storage.collection(resource), obj, found.revision if found else 0)

    def may(self, verb: str, what: str, name: str = "", namespace: str = "n", selector: str = "") -> bool:
        resource, _, subresource = what.partition("/")
        group = {"leases": "coordination.k8s.io", "csinodes": "storage.k8s.io", "tokenreviews": "authentication.k8s.io"}
        attributes = Attributes(
            NODE, verb, group.get(resource, ""), "v1", namespace, resource, subresource, name, field_selector=selector
        )
        return self.authorizer.allowed(attributes)

    def call(self, plural: str, name: str = "", namespace: str = "n", subresource: str = "", user: User = NODE) -> Call:
        group = "coordination.k8s.io" if plural == "leases" else ""
        resource = self.registry.lookup(group, "v1", plural)
        assert resource is not None
        info = RequestInfo(True, "update", "/", group, "v1", namespace, plural, subresource, name)
        return Call(self.services, Request("PUT", "/", [], b"", Peer()), user, info, resource)


@pytest.fixture
async def world() -> World:
    world = World()
    await world.put("core/nodes", "Node", "a")
    await world.put("core/nodes", "Node", "b")
    await world.put("core/pods", "Pod", "p", "n", spec=SPEC)
    await world.put("core/pods", "Pod", "q", "n", spec={"nodeName": "b", "imagePullSecrets": [{"name": "foreign"}]})
    claim = {"namespace": "n", "name": "claim"}
    csi = {"driver": "d", "nodeStageSecretRef": {"namespace": "csi", "name": "stage"}}
    await world.put("core/persistentvolumes", "PersistentVolume", "pv", spec={"claimRef": claim, "csi": csi})
    other = {"claimRef": {"namespace": "n", "name": "other"}, "csi": {"nodeStageSecretRef": {"name": "theirs"}}}
    await world.put("core/persistentvolumes", "PersistentVolume", "pv2", spec=other)
    return world


def test_only_members_of_the_nodes_group_are_nodes() -> None:
    assert node_of(NODE) == "a"
    assert node_of(User("system:node:a")) is None
    assert node_of(User("somebody", ("system:nodes",))) == ""


def test_a_pod_names_what_its_containers_and_volumes_use() -> None:
    found: dict[str, set[str]] = {}
    for resource, name in pod_references({"metadata": {"name": "p"}, "spec": SPEC}):
        found.setdefault(resource, set()).add(name)
    assert found == NAMED


def test_a_mirror_pod_gives_no_rights() -> None:
    assert pod_references({"metadata": {"name": "p", "annotations": MIRROR}, "spec": SPEC}) == frozenset()


def test_a_volumes_secrets_are_in_the_claims_namespace_unless_it_says_otherwise() -> None:
    spec = {"claimRef": {"namespace": "n"}, "rbd": {"secretRef": {"name": "x"}}, "azureFile": {"secretName": "y"}}
    assert volume_secrets({"spec": spec}) == {("n", "x"), ("n", "y")}
    assert volume_secrets({"spec": {"rbd": {"secretRef": {"name": "x"}}}}) == frozenset()


async def test_a_node_reads_what_its_pods_name(world: World) -> None:
    for resource in ("secrets", "configmaps"):
        for name in NAMED[resource]:
            assert all(world.may(verb, resource, name) for verb in ("get", "list", "watch")), name
            assert not world.may("update", resource, name)
            assert not world.may("get", resource, name, "other")
    assert world.may("get", "persistentvolumeclaims", "claim")
    assert world.may("get", "persistentvolumes", "pv", "")
    assert world.may("get", "secrets", "stage", "csi")
    assert world.may("create", "serviceaccounts/token", "runner")


@pytest.mark.parametrize(
    ("verb", "what", "name", "namespace"),
    [
        ("get", "secrets", "foreign", "n"),
        ("get", "secrets", "theirs", "n"),
        ("list", "secrets", "", "n"),
        ("list", "secrets", "", ""),
        ("watch", "configmaps", "", ""),
        ("delete", "secrets", "volume", "n"),
        ("list", "persistentvolumeclaims", "claim", "n"),
        ("get", "persistentvolumeclaims", "other", "n"),
        ("get", "persistentvolumes", "pv2", ""),
        ("get", "serviceaccounts", "runner", "n"),
        ("create", "serviceaccounts/token", "default", "n"),
        ("create", "serviceaccounts/token", "runner", "other"),
        ("get", "nodes", "b", ""),
        ("list", "nodes", "", ""),
        ("delete", "nodes", "a", ""),
        ("patch", "nodes/status", "b", ""),
        ("create", "nodes/proxy", "a", ""),
        ("get", "pods", "q", "n"),
        ("list", "pods", "", ""),
        ("update", "pods", "p", "n"),
        ("create", "pods/exec", "p", "n"),
        ("create", "pods/binding", "p", "n"),
        ("create", "pods/eviction", "q", "n"),
        ("get", "leases", "b", "kube-node-lease"),
        ("get", "leases", "a", "kube-system"),
        ("list", "leases", "", "kube-node-lease"),
        ("get", "csinodes", "b", ""),
    ],
)
async def test_a_node_may_not(world: World, verb: str, what: str, name: str, namespace: str) -> None:
    assert not world.may(verb, what, name, namespace)


@pytest.mark.parametrize(
    ("verb", "what", "name", "namespace"),
    [
        ("get", "nodes", "a", ""),
        ("create", "nodes", "", ""),
        ("patch", "nodes", "a", ""),
        ("patch", "nodes/status", "a", ""),
        ("watch", "nodes", "a", ""),
        ("get", "pods", "p", "n"),
        ("create", "pods", "", "n"),
        ("delete", "pods", "p", "n"),
        ("patch", "pods/status", "p", "n"),
        ("create", "pods/eviction", "p", "n"),
        ("patch", "leases", "a", "kube-node-lease"),
        ("create", "leases", "", "kube-node-lease"),
        ("watch", "services", "", ""),
        ("create", "events", "", "n"),
        ("create", "tokenreviews", "", ""),
        ("patch", "csinodes", "a", ""),
    ],
)
async def test_a_node_may(world: World, verb: str, what: str, name: str, namespace: str) -> None:
    assert world.may(verb, what, name, namespace)


async def test_pods_are_listed_by_their_node_only(world: World) -> None:
    assert world.may("watch", "pods", "", "", "spec.nodeName=a")
    assert world.may("list", "pods", "", "", "spec.nodeName=a,status.phase!=Failed")
    for selector in ("spec.nodeName=b", "spec.nodeName!=a", "status.phase=Running", "spec.nodeName", ""):
        assert not world.may("list", "pods", "", "", selector)


async def test_a_right_ends_with_the_pod(world: World) -> None:
    attributes = Attributes(NODE, "get", "", "v1", "n", "secrets", "", "volume")
    since = world.authorizer.generation
    assert world.authorizer.holds(attributes, since)
    pods = world.storage.collection("core/pods")
    item = pods.get("n", "p")
    assert item is not None
    await world.storage.remove(pods, item.object(), item.revision)
    assert not world.authorizer.holds(attributes, since)
    assert not world.may("get", "pods", "p")


async def test_pods_of_before_the_start_count(world: World) -> None:
    again = Authorizer(world.storage)
    assert again.allowed(Attributes(NODE, "get", "", "v1", "n", "secrets", "", "volume"))


async def test_a_refusal_says_what_is_missing(world: World) -> None:
    with pytest.raises(StatusError) as refused:
        world.authorizer.require(Attributes(NODE, "get", "", "v1", "n", "secrets", "", "foreign"))
    assert refused.value.message == (
        'secrets "foreign" is forbidden: User "system:node:a" cannot get resource "secrets" in API group "" in the'
        " namespace \"n\": no relationship found between node 'a' and this object"
    )


@pytest.mark.parametrize(
    ("label", "settable"),
    [
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/instance-type", True),
        ("x.kubelet.kubernetes.io/own", True),
        ("example.com/rack", True),
        ("rack", True),
        ("node-restriction.kubernetes.io/fips", False),
        ("x.node-restriction.kubernetes.io/fips", False),
        ("node-role.kubernetes.io/control-plane", False),
        ("kubernetes.io/anything", False),
        ("foo.k8s.io/anything", False),
        ("notkubernetes.io/anything", True),
    ],
)
def test_labels_that_others_trust_are_not_for_nodes(label: str, settable: bool) -> None:
    assert (label_problem({label: "x"}, {}) == "") is settable
    assert (label_problem({}, {label: "x"}) == "") is settable
    assert label_problem({label: "x"}, {label: "x"}) == ""


def mirror(**changed: Any) -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "u", "controller": True}
    metadata = {"name": "p", "annotations": MIRROR, "ownerReferences": [owner | changed.pop("owner", {})]}
    return {"metadata": metadata | changed.pop("metadata", {}), "spec": {"nodeName": "a"} | changed}


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (mirror(), ""),
        (mirror(metadata={"annotations": {}}), "mirror pods"),
        (mirror(nodeName="b"), "spec.nodeName"),
        (mirror(metadata={"ownerReferences": []}), "single owner reference"),
        (mirror(owner={"name": "b"}), "owner reference set to itself"),
        (mirror(owner={"controller": None}), "owner reference set to itself"),
        (mirror(owner={"uid": "other"}), "UID mismatch"),
        (mirror(serviceAccountName="default"), "service account"),
        (mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}]), "reference secrets"),
        (mirror(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}}]), "tokens"),
    ],
)
def test_a_node_creates_mirror_pods_only(pod: Object, word: str) -> None:
    problem = mirror_problem(pod, "a", "u")
    assert word in problem
    assert bool(problem) is bool(word)


def obj(name: str, spec: Object | None = None, namespace: str = "n", **metadata: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec or {}}


@pytest.mark.parametrize(
    ("plural", "subresource", "operation", "new", "old", "refused"),
    [
        ("pods", "status", "UPDATE", obj("p", SPEC), obj("p", SPEC), ""),
        ("pods", "status", "UPDATE", obj("q"), obj("q", {"nodeName": "b"}), "spec.nodeName set to itself"),
        ("pods", "status", "UPDATE", obj("p", SPEC, labels={"x": "y"}), obj("p", SPEC), "labels"),
        ("pods", "", "UPDATE", obj("p", SPEC), obj("p", SPEC), "status of pods only"),
        ("pods", "", "DELETE", None, obj("p", SPEC), ""),
        ("pods", "", "DELETE", None, obj("q", {"nodeName": "b"}), "delete pods"),
        ("pods", "", "CREATE", obj("new", {"nodeName": "a"}), None, "mirror pods"),
        ("nodes", "", "CREATE", obj("a", labels={"kubernetes.io/hostname": "a"}), None, ""),
        ("nodes", "", "CREATE", obj("b"), None, "not allowed to modify node 'b'"),
        ("nodes", "", "UPDATE", obj("a", labels={"node-role.kubernetes.io/x": ""}), obj("a"), "modify labels"),
        ("nodes", "status", "UPDATE", obj("a", labels={"kubernetes.io/x": ""}), obj("a"), "modify labels"),
        ("nodes", "", "UPDATE", obj("a", {"taints": []}), obj("a", {"taints": [{"key": "x"}]}), "modify taints"),
        ("nodes", "", "UPDATE", obj("a", {"unschedulable": True}), obj("a"), ""),
        ("nodes", "", "UPDATE", obj("a", ownerReferences=[{}]), obj("a"), "ownerReferences"),
        ("nodes", "", "DELETE", None, obj("a"), "cannot delete"),
        ("leases", "", "CREATE", obj("a", namespace="kube-node-lease"), None, ""),
        ("leases", "", "CREATE", obj("b", namespace="kube-node-lease"), None, "its own name"),
        ("leases", "", "UPDATE", obj("a", namespace="x"), obj("a", namespace="x"), "kube-node-lease"),
        ("secrets", "", "UPDATE", obj("s"), obj("s"), ""),
    ],
)
async def test_a_node_changes_its_own_only(
    world: World, plural: str, subresource: str, operation: str, new: Object | None, old: Object | None, refused: str
) -> None:
    name = (new or old or {})["metadata"]["name"]
    await world.restriction.mutate(
        world.call(plural, name, subresource=subresource, user=User("eve")), operation, new, old
    )
    call = world.call(plural, name, subresource=subresource)
    if not refused:
        await world.restriction.mutate(call, operation, new, old)
        return
    with pytest.raises(StatusError) as error:
        await world.restriction.mutate(call, operation, new, old)
    assert error.value.code == 403
    assert refused in error.value.message


async def test_a_node_gets_tokens_of_its_pods_only(world: World) -> None:
    call = world.call("serviceaccounts", "runner", subresource="token")
    world.restriction.check_token(call, ("Pod", "p", "uid-p"))
    for bound in (None, ("Secret", "s", "u"), ("Pod", "p", ""), ("Pod", "q", "uid-q"), ("Pod", "gone", "u")):
        with pytest.raises(StatusError):
            world.restriction.check_token(call, bound)
    world.restriction.check_token(world.call("serviceaccounts", "runner", user=User("eve")), None)
