"""Rights: what each component may do, and the roles that administrators give to people.

Components get the least they need. The user-facing roles carry KubeVirt's names and
are aggregated into Kubernetes' admin, edit and view.
"""

from typing import Any, Final

from kobune.operator.names import (
    COMPONENTS,
    HANDLER_CLIENT_SECRET,
    HANDLER_SERVER_SECRET,
    PART_OF,
    VIRT_API_SECRET,
    service_account,
)

__all__ = ["roles"]

Manifest = dict[str, Any]
Rule = dict[str, Any]

RBAC: Final = "rbac.authorization.k8s.io"
_READ: Final = ("get", "list", "watch")
_WRITE: Final = ("create", "update", "patch", "delete", "deletecollection")
_GROUPS: Final = (
    "kubevirt.io",
    "instancetype.kubevirt.io",
    "snapshot.kubevirt.io",
    "export.kubevirt.io",
    "clone.kubevirt.io",
    "pool.kubevirt.io",
)


def _rule(groups: str | tuple[str, ...], resources: tuple[str, ...], verbs: tuple[str, ...], *names: str) -> Rule:
    rule: Rule = {
        "apiGroups": [groups] if isinstance(groups, str) else list(groups),
        "resources": list(resources),
        "verbs": list(verbs),
    }
    if names:
        rule["resourceNames"] = list(names)
    return rule


_CLUSTER_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "virt-api": (
        _rule("kubevirt.io", ("virtualmachines", "virtualmachineinstances"), ("get", "patch")),
        _rule("kubevirt.io", ("virtualmachines/status",), ("patch",)),
        _rule("kubevirt.io", ("virtualmachineinstancemigrations",), ("list",)),
        _rule("kubevirt.io", ("kubevirts",), _READ),
        _rule("instancetype.kubevirt.io", ("*",), ("get",)),
        _rule("", ("nodes", "persistentvolumeclaims"), ("get",)),
        _rule("", ("pods",), ("list",)),
        _rule("cdi.kubevirt.io", ("datavolumes", "datasources"), ("get",)),
        _rule("apps", ("controllerrevisions",), ("get",)),
        _rule("authorization.k8s.io", ("subjectaccessreviews",), ("create",)),
    ),
    "virt-controller": (
        _rule("kubevirt.io", ("*",), (*_READ, "create", "patch", "delete")),
        _rule(_GROUPS[1:], ("*",), (*_READ, "create", "patch", "delete")),
        _rule("cdi.kubevirt.io", ("datavolumes", "datavolumes/status"), (*_READ, "create", "patch", "delete")),
        _rule("", ("pods",), (*_READ, "create", "patch", "delete")),
        _rule("", ("pods/status",), ("patch",)),
        _rule("", ("nodes",), (*_READ, "patch")),
        _rule("", ("persistentvolumeclaims", "namespaces"), _READ),
        _rule("", ("events",), ("create", "patch")),
        _rule("apps", ("controllerrevisions",), (*_READ, "create", "patch", "delete")),
    ),
    "virt-handler": (
        _rule("kubevirt.io", ("virtualmachineinstances",), (*_READ, "patch", "update")),
        _rule("kubevirt.io", ("kubevirts",), _READ),
        _rule("", ("pods",), _READ),
        _rule("", ("nodes",), (*_READ, "patch")),
        _rule("", ("nodes/status",), ("patch",)),
        _rule("", ("events",), ("create", "patch")),
    ),
}

_SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "virt-api": (VIRT_API_SECRET, HANDLER_CLIENT_SECRET),
    "virt-handler": (HANDLER_SERVER_SECRET,),
}

_VMI_ACTIONS: Final = (
    "pause",
    "unpause",
    "softreboot",
    "reset",
    "freeze",
    "unfreeze",
    "addvolume",
    "removevolume",
    "sev/setupsession",
    "sev/injectlaunchsecret",
)
_VMI_STREAMS: Final = ("console", "vnc", "vnc/screenshot", "portforward", "usbredir")
_VMI_FACTS: Final = (
    "guestosinfo",
    "userlist",
    "filesystemlist",
    "objectgraph",
    "sev/fetchcertchain",
    "sev/querylaunchmeasurement",
)
_VM_ACTIONS: Final = ("start", "stop", "restart", "addvolume", "removevolume", "memorydump", "removememorydump")
_VM_FACTS: Final = ("expand-spec", "objectgraph")


def roles(namespace: str) -> list[Manifest]:
    """Every role and binding."""
    found: list[Manifest] = []
    for component in COMPONENTS:
        account = service_account(component)
        found.append(_cluster_role(account, _CLUSTER_RULES[component]))
        found.append(_binding("ClusterRoleBinding", account, "ClusterRole", account, account, namespace))
        own = [_rule("coordination.k8s.io", ("leases",), (*_READ, "create", "update", "patch"))]
        if secrets := _SECRETS.get(component):
            own.append(_rule("", ("secrets",), _READ, *secrets))
        found.append(_role(account, namespace, own))
        found.append(_binding("RoleBinding", account, "Role", account, account, namespace, inside=namespace))
    # The certificate authority of the front proxy stands in a ConfigMap of kube-system.
    account = service_account("virt-api")
    reader = _rule("", ("configmaps",), _READ, "extension-apiserver-authentication")
    found.append(_role(account, "kube-system", [reader]))
    found.append(_binding("RoleBinding", account, "Role", account, account, namespace, inside="kube-system"))
    found += _for_people()
    return found


def _for_people() -> list[Manifest]:
    everything = {"groups": (*_GROUPS, "cdi.kubevirt.io"), "resources": ("*",)}
    instance = tuple(f"virtualmachineinstances/{name}" for name in (*_VMI_ACTIONS, *_VMI_STREAMS, *_VMI_FACTS))
    machine = tuple(f"virtualmachines/{name}" for name in (*_VM_ACTIONS, *_VM_FACTS, "portforward", "migrate"))
    facts = tuple(f"virtualmachineinstances/{name}" for name in _VMI_FACTS) + tuple(
        f"virtualmachines/{name}" for name in _VM_FACTS
    )
    subresources = "subresources.kubevirt.io"
    write = (
        _rule(subresources, (*instance, *machine), ("get", "update")),
        _rule(subresources, ("expand-vm-spec",), ("update",)),
        _rule(everything["groups"], everything["resources"], (*_READ, *_WRITE)),
    )
    read = (
        _rule(subresources, facts, ("get",)),
        _rule(subresources, ("expand-vm-spec",), ("update",)),
        _rule(everything["groups"], everything["resources"], _READ),
    )
    default = (
        _rule(subresources, ("version", "guestfs", "healthz"), ("get", "list")),
        _rule("instancetype.kubevirt.io", ("virtualmachineclusterinstancetypes",), _READ),
        _rule("instancetype.kubevirt.io", ("virtualmachineclusterpreferences",), _READ),
    )
    return [
        _cluster_role("kubevirt.io:admin", write, "admin"),
        _cluster_role("kubevirt.io:edit", write, "edit"),
        _cluster_role("kubevirt.io:view", read, "view"),
        _cluster_role("kubevirt.io:default", default),
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubevirt.io:default", "labels": dict(PART_OF)},
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "kubevirt.io:default"},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}],
        },
    ]


def _cluster_role(name: str, rules: tuple[Rule, ...], aggregate_to: str = "") -> Manifest:
    labels = dict(PART_OF)
    if aggregate_to:
        labels[f"{RBAC}/aggregate-to-{aggregate_to}"] = "true"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": list(rules),
    }


def _role(name: str, namespace: str, rules: list[Rule]) -> Manifest:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(PART_OF)},
        "rules": rules,
    }


def _binding(
    kind: str, name: str, role_kind: str, role: str, account: str, account_namespace: str, *, inside: str = ""
) -> Manifest:
    metadata: Manifest = {"name": name, "labels": dict(PART_OF)}
    if inside:
        metadata["namespace"] = inside
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_namespace}],
    }
