"""Rules and the authorizer."""

import pytest

from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.authorizer import Authorizer, refusal
from kobune.embedded.apiserver.rbac.bootstrap import objects
from kobune.embedded.apiserver.rbac.rules import Rule, uncovered
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.user import User, service_account_user
from kobune.embedded.store import MemoryJournal, RevisionLog

GROUP = "rbac.authorization.k8s.io"


@pytest.mark.parametrize(
    ("rule", "asked", "expected"),
    [
        (Rule(("get",), ("",), ("pods",)), ("get", "", "pods", "", ""), True),
        (Rule(("get",), ("",), ("pods",)), ("list", "", "pods", "", ""), False),
        (Rule(("*",), ("*",), ("*",)), ("x", "y", "z", "w", "v"), True),
        (Rule(("get",), ("",), ("pods",)), ("get", "", "pods", "log", ""), False),
        (Rule(("get",), ("",), ("pods/log",)), ("get", "", "pods", "log", ""), True),
        (Rule(("get",), ("",), ("*/scale",)), ("get", "", "pods", "scale", ""), True),
        (Rule(("get",), ("",), ("pods",), ("a",)), ("get", "", "pods", "", "a"), True),
        (Rule(("get",), ("",), ("pods",), ("a",)), ("get", "", "pods", "", "b"), False),
        (Rule(("list",), ("",), ("pods",), ("a",)), ("list", "", "pods", "", ""), False),
    ],
)
def test_rules_allow_resources(rule: Rule, asked: tuple[str, str, str, str, str], expected: bool) -> None:
    assert rule.allows_resource(*asked) is expected


def test_rules_allow_paths() -> None:
    rule = Rule(("get",), paths=("/healthz", "/apis/*"))
    assert rule.allows_path("get", "/apis/x")
    assert not rule.allows_path("get", "/healthz/x")
    assert not rule.allows_path("post", "/healthz")


def test_what_nobody_owns_is_missing() -> None:
    owned = [Rule(("get", "list"), ("",), ("pods",)), Rule(("get",), ("",), ("secrets",), ("mine",))]
    assert uncovered(owned, [Rule(("get",), ("",), ("pods",))]) == []
    assert uncovered(owned, [Rule(("get",), ("",), ("secrets",), ("mine",))]) == []
    assert uncovered(owned, [Rule(("get",), ("",), ("secrets",))]) == [Rule(("get",), ("",), ("secrets",))]
    assert uncovered(owned, [Rule(("get", "delete"), ("",), ("pods",))]) == [Rule(("delete",), ("",), ("pods",))]


@pytest.fixture
async def storage() -> Storage:
    storage = Storage(RevisionLog(MemoryJournal()))
    storage.open()
    for plural, obj in objects():
        await storage.put(storage.collection(f"{GROUP}/{plural}"), obj, 0)
    return storage


async def bind(storage: Storage, namespace: str, name: str, role: str, subject: dict[str, str]) -> None:
    plural, kind = ("rolebindings", "RoleBinding") if namespace else ("clusterrolebindings", "ClusterRoleBinding")
    binding = {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    await storage.put(storage.collection(f"{GROUP}/{plural}"), binding, 0)


async def test_members_of_masters_may_do_everything(storage: Storage) -> None:
    user = User("root", ("system:masters",))
    assert Authorizer(storage).allowed(Attributes(user, "delete", "x", "v1", "n", "y"))
    assert Authorizer(storage).allowed(Attributes(user, "get", path="/secret"))


async def test_a_binding_counts_in_its_namespace_only(storage: Storage) -> None:
    authorizer = Authorizer(storage)
    user = User("eve", ("system:authenticated",))
    asked = Attributes(user, "list", "", "v1", "n", "pods")
    assert not authorizer.allowed(asked)
    await bind(storage, "n", "b", "view", {"kind": "User", "name": "eve"})
    assert authorizer.allowed(asked)
    assert not authorizer.allowed(Attributes(user, "list", "", "v1", "m", "pods"))
    assert not authorizer.allowed(Attributes(user, "list", "", "v1", "", "pods"))


async def test_service_accounts_are_bound_by_namespace_and_name(storage: Storage) -> None:
    authorizer = Authorizer(storage)
    await bind(storage, "", "b", "view", {"kind": "ServiceAccount", "name": "robot", "namespace": "n"})
    assert authorizer.allowed(
        Attributes(service_account_user("n", "robot"), "get", "", "v1", "x", "configmaps", "", "a")
    )
    assert not authorizer.allowed(Attributes(service_account_user("m", "robot"), "get", "", "v1", "x", "configmaps"))


async def test_a_removed_binding_ends_the_right(storage: Storage) -> None:
    authorizer = Authorizer(storage)
    await bind(storage, "", "b", "view", {"kind": "User", "name": "eve"})
    asked = Attributes(User("eve"), "list", "", "v1", "n", "pods")
    assert authorizer.allowed(asked)
    before = authorizer.generation
    collection = storage.collection(f"{GROUP}/clusterrolebindings")
    item = collection.get("", "b")
    assert item is not None
    await storage.remove(collection, item.object(), item.revision)
    assert not authorizer.allowed(asked)
    assert authorizer.generation > before


async def test_everybody_may_read_the_version_and_nodes_may_not_read_the_cluster(storage: Storage) -> None:
    authorizer = Authorizer(storage)
    anonymous = User("system:anonymous", ("system:unauthenticated",))
    assert authorizer.allowed(Attributes(anonymous, "get", path="/version"))
    assert not authorizer.allowed(Attributes(anonymous, "get", path="/api"))
    node = User("system:node:a", ("system:nodes", "system:authenticated"))
    assert authorizer.allowed(Attributes(node, "patch", "", "v1", "", "nodes", "status", "a"))
    assert not authorizer.allowed(Attributes(node, "delete", "", "v1", "n", "secrets"))


def test_refusals_have_the_apis_words() -> None:
    error = refusal(Attributes(User("eve"), "get", "apps", "v1", "n", "deployments", "status", "d"))
    assert error.message == (
        'deployments.apps "d" is forbidden: User "eve" cannot get resource "deployments/status" in API group "apps" in'
        ' the namespace "n"'
    )
    assert refusal(Attributes(User("eve"), "list", "", "v1", "", "nodes")).message.endswith(
        'resource "nodes" in API group "" at the cluster scope'
    )
