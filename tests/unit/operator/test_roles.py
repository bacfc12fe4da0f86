"""What people and components may do: KubeVirt's roles for people, and nothing beyond its work for a component."""

from typing import Any

import pytest

from kobune.operator.roles import roles
from kobune.virt.admission.subresources.table import INSTANCE_VERBS, MACHINE_VERBS

ROLES = {role["metadata"]["name"]: role for role in roles("kobune") if role["kind"] == "ClusterRole"}
SUBRESOURCES = "subresources.kubevirt.io"
LOOKING = {
    "guestosinfo",
    "userlist",
    "filesystemlist",
    "objectgraph",
    "sev/fetchcertchain",
    "sev/querylaunchmeasurement",
}


def allows(role: dict[str, Any], group: str, resource: str, verb: str) -> bool:
    return any(
        group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"] for rule in role["rules"]
    )


@pytest.mark.parametrize("name", ["kubevirt.io:admin", "kubevirt.io:edit", "kubevirt.io:view"])
def test_every_subresource_is_given_to_who_may_change_and_facts_alone_to_who_may_look(name: str) -> None:
    for resource, verbs in (("virtualmachineinstances", INSTANCE_VERBS), ("virtualmachines", MACHINE_VERBS)):
        for verb in verbs:
            needed = "get" if verb.method == "GET" else "update"
            looks = verb.path in LOOKING or (resource, verb.path) == ("virtualmachines", "expand-spec")
            wanted = looks if name == "kubevirt.io:view" else verb.path != "migrate"
            assert allows(ROLES[name], SUBRESOURCES, f"{resource}/{verb.path}", needed) is wanted, verb


def test_migrating_has_a_role_of_its_own() -> None:
    assert allows(ROLES["kubevirt.io:migrate"], SUBRESOURCES, "virtualmachines/migrate", "update")
    assert allows(ROLES["kubevirt.io:migrate"], "kubevirt.io", "virtualmachineinstancemigrations", "create")
    for name in ("kubevirt.io:admin", "kubevirt.io:edit", "kubevirt.io:view"):
        assert allows(ROLES[name], "kubevirt.io", "virtualmachineinstancemigrations", "list")
        assert not allows(ROLES[name], "kubevirt.io", "virtualmachineinstancemigrations", "create")
    assert not any("rbac" in key for key in ROLES["kubevirt.io:migrate"]["metadata"]["labels"])


def test_collections_are_deleted_by_admins_alone() -> None:
    assert allows(ROLES["kubevirt.io:admin"], "kubevirt.io", "virtualmachines", "deletecollection")
    for name in ("kubevirt.io:edit", "kubevirt.io:view", "kubevirt.io:default"):
        assert not any("deletecollection" in rule["verbs"] for rule in ROLES[name]["rules"])


def test_people_who_look_change_nothing() -> None:
    for name in ("kubevirt.io:view", "kubevirt.io:default"):
        for rule in ROLES[name]["rules"]:
            # A specification that is expanded is the caller's own.
            harmless = {"get", "list", "watch", *(("update",) if rule["resources"] == ["expand-vm-spec"] else ())}
            assert set(rule["verbs"]) <= harmless


def test_no_role_has_a_wildcard_of_verbs_or_groups() -> None:
    for role in ROLES.values():
        for rule in role["rules"]:
            assert "*" not in rule["verbs"]
            assert "*" not in rule["apiGroups"]
            assert "secrets" not in rule["resources"], "secrets are given by name, in one namespace"


def test_no_component_can_give_itself_more() -> None:
    for name, role in ROLES.items():
        for rule in role["rules"]:
            assert "rbac.authorization.k8s.io" not in rule["apiGroups"]
            assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"])
            for resource in rule["resources"]:
                assert resource not in ("pods/exec", "pods/attach", "serviceaccounts/token", "nodes/proxy"), name


def test_a_nodes_component_makes_and_deletes_nothing() -> None:
    handler = ROLES["kobune-virt-handler"]
    for rule in handler["rules"]:
        if rule["resources"] != ["events"]:
            assert set(rule["verbs"]) <= {"get", "list", "watch", "patch"}
    assert not allows(handler, "kubevirt.io", "virtualmachines", "get")
    assert not allows(handler, "", "pods", "patch")
