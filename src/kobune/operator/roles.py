"""Rights: what each component may do, which is the least that it needs. People's roles are in the module people."""

from typing import Final

from kobune.operator.names import (
    COMPONENTS,
    HANDLER_CLIENT_SECRET,
    HANDLER_SERVER_SECRET,
    PART_OF,
    VIRT_API_SECRET,
    service_account,
)
from kobune.operator.people import people_roles
from kobune.operator.rules import RBAC, READ, Manifest, Rule, cluster_role, rule

__all__ = ["roles"]

_GROUPS: Final = (
    "kubevirt.io",
    "instancetype.kubevirt.io",
    "snapshot.kubevirt.io",
    "export.kubevirt.io",
    "clone.kubevirt.io",
    "pool.kubevirt.io",
)

_CLUSTER_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "virt-api": (
        rule("kubevirt.io", ("virtualmachines", "virtualmachineinstances"), ("get", "list", "patch")),
        rule("kubevirt.io", ("virtualmachines/status",), ("patch",)),
        rule("kubevirt.io", ("virtualmachineinstancemigrations", "virtualmachineinstancereplicasets"), ("list",)),
        rule("kubevirt.io", ("kubevirts", "virtualmachineinstancepresets"), READ),
        rule("instancetype.kubevirt.io", ("*",), ("get",)),
        rule("", ("nodes", "persistentvolumeclaims"), ("get",)),
        rule("", ("pods",), ("get", "list")),
        rule("cdi.kubevirt.io", ("datavolumes", "datasources"), ("get",)),
        rule("snapshot.kubevirt.io", ("virtualmachinesnapshots",), ("get",)),
        rule("snapshot.kubevirt.io", ("virtualmachinerestores",), ("list",)),
        rule("apps", ("controllerrevisions",), ("get",)),
        rule("authorization.k8s.io", ("subjectaccessreviews",), ("create",)),
    ),
    "virt-controller": (
        rule("kubevirt.io", ("*",), (*READ, "create", "patch", "delete")),
        rule(_GROUPS[1:], ("*",), (*READ, "create", "patch", "delete")),
        # Where owner references that block a deletion need the right to set finalizers, as in OpenShift.
        rule(_GROUPS, ("*/finalizers",), ("update",)),
        rule("cdi.kubevirt.io", ("datavolumes", "datavolumes/status"), (*READ, "create", "patch", "delete")),
        rule("", ("pods",), (*READ, "create", "patch", "delete")),
        rule("", ("pods/status",), ("patch",)),
        rule("", ("nodes",), (*READ, "patch")),
        rule("", ("persistentvolumeclaims",), (*READ, "create", "patch")),
        rule("k8s.cni.cncf.io", ("network-attachment-definitions",), ("get",)),
        rule("", ("namespaces",), READ),
        rule("", ("events",), ("create", "patch")),
        rule("apps", ("controllerrevisions",), (*READ, "create", "patch", "delete")),
    ),
    "virt-handler": (
        rule("kubevirt.io", ("virtualmachineinstances",), (*READ, "patch")),
        rule("kubevirt.io", ("kubevirts",), READ),
        rule("", ("pods",), READ),
        rule("", ("nodes",), (*READ, "patch")),
        rule("", ("events",), ("create", "patch")),
    ),
}

_SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "virt-api": (VIRT_API_SECRET, HANDLER_CLIENT_SECRET),
    "virt-handler": (HANDLER_SERVER_SECRET,),
}


def roles(namespace: str) -> list[Manifest]:
    """Every role and binding."""
    found: list[Manifest] = []
    for component in COMPONENTS:
        account = service_account(component)
        found.append(cluster_role(account, _CLUSTER_RULES[component]))
        found.append(_binding("ClusterRoleBinding", account, "ClusterRole", account, account, namespace))
        own = [rule("coordination.k8s.io", ("leases",), (*READ, "create", "update", "patch"))]
        if secrets := _SECRETS.get(component):
            own.append(rule("", ("secrets",), READ, *secrets))
        found.append(_role(account, namespace, own))
        found.append(_binding("RoleBinding", account, "Role", account, account, namespace, inside=namespace))
    # The certificate authority of the front proxy stands in a ConfigMap of kube-system.
    account = service_account("virt-api")
    reader = rule("", ("configmaps",), READ, "extension-apiserver-authentication")
    found.append(_role(account, "kube-system", [reader]))
    found.append(_binding("RoleBinding", account, "Role", account, account, namespace, inside="kube-system"))
    return found + people_roles()


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
