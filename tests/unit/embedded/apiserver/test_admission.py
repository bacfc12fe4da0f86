"""Admission steps and allocators, on stored objects but without a server."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kobune.base.clock import format_time
from kobune.embedded.apiserver.admission.chain import AdmissionChain
from kobune.embedded.apiserver.admission.escalation import EscalationCheck
from kobune.embedded.apiserver.admission.limits import LimitRanger
from kobune.embedded.apiserver.admission.matching import Matcher
from kobune.embedded.apiserver.admission.namespaces import NamespaceLifecycle
from kobune.embedded.apiserver.admission.pods import DefaultTolerations, Priorities, ServiceAccounts
from kobune.embedded.apiserver.admission.quota import QuotaCheck
from kobune.embedded.apiserver.expiry import EventExpiry
from kobune.embedded.apiserver.http.message import Peer, Request
from kobune.embedded.apiserver.kinds.services import ServiceAllocator
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call, Services
from kobune.embedded.apiserver.rest.route import RequestInfo
from kobune.embedded.apiserver.schema import builtin
from kobune.embedded.apiserver.status import StatusError
from kobune.embedded.apiserver.user import User
from kobune.embedded.store import MemoryJournal, RevisionLog

Object = dict[str, Any]


class World:
    """A store with namespace `n`, and calls on it."""

    def __init__(self) -> None:
        self.storage = Storage(RevisionLog(MemoryJournal()))
        self.storage.open()
        self.registry = Registry(self.storage)
        for info in builtin.resources():
            self.registry.add(info)
        self.authorizer = Authorizer(self.storage)
        self.services = Services(self.storage, self.registry, self.authorizer, AdmissionChain([]))

    async def put(self, resource: str, kind: str, name: str, *, api_version: str = "v1", **content: Any) -> None:
        cluster = resource.startswith(("core/namespaces", "scheduling", "core/nodes"))
        metadata = {"name": name, "namespace": "" if cluster else "n", **content.pop("metadata", {})}
        obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}
        await self.storage.put(self.storage.collection(resource), obj, 0)

    def call(self, plural: str, *, group: str = "", version: str = "v1", user: str = "eve", name: str = "x") -> Call:
        resource = self.registry.lookup(group, version, plural)
        assert resource is not None
        namespace = "n" if resource.info.namespaced else ""
        info = RequestInfo(True, "create", "/", group, version, namespace, plural, "", name)
        call = Call(self.services, Request("POST", "/", [], b"", Peer()), User(user), info, resource)
        call.options = {}
        return call


@pytest.fixture
async def world() -> World:
    return World()


def pod(**spec: Any) -> Object:
    containers = spec.pop("containers", [{"name": "main", "image": "x"}])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": containers, **spec},
    }


def container(name: str = "main", **resources: dict[str, str]) -> Object:
    return {"name": name, "image": "x", "resources": resources}


async def test_objects_need_a_namespace_that_does_not_end(world: World) -> None:
    step, call = NamespaceLifecycle(world.storage), world.call("pods")
    with pytest.raises(StatusError) as error:
        await step.mutate(call, "CREATE", pod(), None)
    assert error.value.code == 404
    await world.put("core/namespaces", "Namespace", "n", status={"phase": "Terminating"})
    with pytest.raises(StatusError) as error:
        await step.mutate(call, "CREATE", pod(), None)
    assert error.value.details is not None
    assert error.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    await step.mutate(call, "DELETE", None, pod())


async def test_a_pod_gets_account_token_priority_and_tolerations(world: World) -> None:
    await world.put("core/serviceaccounts", "ServiceAccount", "default", imagePullSecrets=[{"name": "s"}])
    made = pod()
    for step in (ServiceAccounts(world.storage), DefaultTolerations(), Priorities(world.storage)):
        await step.mutate(world.call("pods"), "CREATE", made, None)
    spec = made["spec"]
    assert spec["serviceAccountName"] == "default"
    assert spec["imagePullSecrets"] == [{"name": "s"}]
    volume = spec["volumes"][0]
    assert spec["containers"][0]["volumeMounts"][0]["name"] == volume["name"]
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["priority"] == 0
    assert {t["key"] for t in spec["tolerations"]} == {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}


async def test_a_pod_without_its_account_is_refused(world: World) -> None:
    with pytest.raises(StatusError, match='serviceaccount "ghost" not found'):
        await ServiceAccounts(world.storage).mutate(world.call("pods"), "CREATE", pod(serviceAccountName="ghost"), None)


async def test_the_account_of_a_new_namespace_is_waited_for(world: World) -> None:
    made = asyncio.create_task(ServiceAccounts(world.storage).mutate(world.call("pods"), "CREATE", pod(), None))
    await asyncio.sleep(0.05)
    assert not made.done()
    await world.put("core/serviceaccounts", "ServiceAccount", "default")
    await asyncio.wait_for(made, 5)


async def test_limit_ranges_fill_in_and_refuse(world: World) -> None:
    limit = {
        "type": "Container",
        "default": {"cpu": "500m"},
        "defaultRequest": {"cpu": "100m"},
        "max": {"cpu": "1"},
    }
    await world.put("core/limitranges", "LimitRange", "l", spec={"limits": [limit]})
    step, made = LimitRanger(world.storage), pod()
    await step.mutate(world.call("pods"), "CREATE", made, None)
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}}
    await step.validate(world.call("pods"), "CREATE", made, None)
    large = pod(containers=[container(limits={"cpu": "2"}, requests={"cpu": "2"})])
    with pytest.raises(StatusError, match="maximum cpu usage per Container is 1, but limit is 2"):
        await step.validate(world.call("pods"), "CREATE", large, None)


async def test_quotas_are_charged_until_they_are_full(world: World) -> None:
    await world.put("core/resourcequotas", "ResourceQuota", "q", spec={"hard": {"pods": "1", "requests.cpu": "1"}})
    step = QuotaCheck(world.storage)
    with pytest.raises(StatusError, match=r"must specify requests\.cpu for: main"):
        await step.validate(world.call("pods"), "CREATE", pod(), None)
    fits = pod(containers=[container(requests={"cpu": "600m"})])
    await step.validate(world.call("pods"), "CREATE", fits, None)
    item = world.storage.collection("core/resourcequotas").get("n", "q")
    assert item is not None
    assert item.object()["status"]["used"] == {"pods": "1", "requests.cpu": "600m"}
    with pytest.raises(StatusError, match=r"exceeded quota: q, requested: pods=1,requests\.cpu=600m"):
        await step.validate(world.call("pods"), "CREATE", fits, None)
    await step.validate(world.call("pods"), "UPDATE", fits, fits)


async def test_nobody_gives_away_rights_that_he_lacks(world: World) -> None:
    group = "rbac.authorization.k8s.io"
    step = EscalationCheck(world.authorizer)
    call = world.call("roles", group=group)
    role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    with pytest.raises(StatusError, match="attempting to grant RBAC permissions not currently held"):
        await step.validate(call, "CREATE", role, None)
    await step.validate(call, "UPDATE", role, role)
    own = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    await world.put(f"{group}/roles", "Role", "own", api_version=f"{group}/v1", rules=own)
    await world.put(
        f"{group}/rolebindings",
        "RoleBinding",
        "own",
        api_version=f"{group}/v1",
        roleRef={"kind": "Role", "name": "own"},
        subjects=[{"kind": "User", "name": "eve"}],
    )
    await step.validate(call, "CREATE", role, None)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"resources": ["pods"]}, True),
        ({"resources": ["*"]}, True),
        ({"resources": ["*/*"]}, True),
        ({"resources": ["pods/*"]}, True),
        ({"resources": ["pods/status"]}, False),
        ({"resources": ["pods"], "operations": ["DELETE"]}, False),
        ({"resources": ["pods"], "apiGroups": ["apps"]}, False),
        ({"resources": ["pods"], "scope": "Cluster"}, False),
        ({"resources": ["pods"], "scope": "Namespaced"}, True),
    ],
)
async def test_rules_of_hooks(world: World, rule: Object, expected: bool) -> None:
    full = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], **rule}
    matched = Matcher(world.storage, world.registry).rules(world.call("pods"), "CREATE", [full], "Exact")
    assert (matched is not None) is expected


async def test_hooks_never_look_at_their_own_configuration(world: World) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    call = world.call("validatingwebhookconfigurations", group="admissionregistration.k8s.io")
    assert Matcher(world.storage, world.registry).rules(call, "CREATE", [rule], "Exact") is None


def service(**spec: Any) -> Object:
    ports = spec.pop("ports", [{"port": 80, "protocol": "TCP"}])
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "n"},
        "spec": {"ports": ports, **spec},
    }


async def test_services_get_addresses_and_ports_of_their_own(world: World) -> None:
    allocator, call = ServiceAllocator(world.storage.collection("core/services")), world.call("services")
    one, two = service(type="NodePort"), service(type="NodePort")
    allocator.create(call, one)
    allocator.create(call, two)
    assert one["spec"]["clusterIP"] != two["spec"]["clusterIP"]
    assert one["spec"]["clusterIPs"] == [one["spec"]["clusterIP"]]
    assert one["spec"]["ports"][0]["nodePort"] != two["spec"]["ports"][0]["nodePort"]
    with pytest.raises(StatusError, match="already allocated"):
        allocator.create(call, service(clusterIP=one["spec"]["clusterIP"]))
    headless, external = service(clusterIP="None"), service(type="ExternalName", externalName="x.example")
    allocator.create(call, headless)
    allocator.create(call, external)
    assert headless["spec"]["clusterIPs"] == ["None"]
    assert "clusterIP" not in external["spec"]


async def test_what_a_failed_write_took_is_given_back(world: World) -> None:
    allocator, call = ServiceAllocator(world.storage.collection("core/services")), world.call("services")
    fixed = service(clusterIP="10.96.7.7")
    allocation = allocator.create(call, fixed)
    allocation.undo()
    allocation.undo()
    allocator.create(call, service(clusterIP="10.96.7.7"))


async def test_old_events_go_and_recurring_ones_stay(world: World) -> None:
    now = datetime.now(UTC)
    old = format_time(now - timedelta(hours=2))
    await world.put("core/events", "Event", "old", metadata={"creationTimestamp": old})
    await world.put(
        "core/events", "Event", "again", metadata={"creationTimestamp": old}, lastTimestamp=format_time(now)
    )
    assert await EventExpiry(world.storage).expire(now) == 1
    assert [item.name for item in world.storage.collection("core/events").select()] == ["again"]
