"""The roles and bindings that every cluster has, written at start where they are missing.

Source: the Kubernetes documentation of default roles. User-facing roles are aggregated from labelled roles.
"""

from typing import Any

__all__ = ["NODE_RULES", "objects"]

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_ALL = ["*"]
_SIGNERS = [
    f"kubernetes.io/{name}" for name in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving")
]


def _rule(verbs: list[str], groups: list[str], resources: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"verbs": verbs, "apiGroups": groups, "resources": resources}
    if names:
        rule["resourceNames"] = names
    return rule


def _paths(verbs: list[str], *paths: str) -> dict[str, Any]:
    return {"verbs": verbs, "nonResourceURLs": list(paths)}


_VIEW = [
    _rule(
        _READ,
        [""],
        [
            "configmaps",
            "endpoints",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    _rule(
        _READ,
        [""],
        [
            "bindings",
            "events",
            "limitranges",
            "namespaces/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
        ],
    ),
    _rule(_READ, [""], ["namespaces"]),
    _rule(_READ, ["discovery.k8s.io"], ["endpointslices"]),
    _rule(
        _READ,
        ["apps"],
        [
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    _rule(_READ, ["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    _rule(_READ, ["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    _rule(_READ, ["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
    _rule(_READ, ["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"]),
]
_EDIT = [
    _rule(_READ, [""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
    _rule(["impersonate"], [""], ["serviceaccounts"]),
    _rule(_WRITE, [""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
    _rule(["create"], [""], ["pods/eviction"]),
    _rule(
        _WRITE,
        [""],
        [
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
    ),
    _rule(["create"], [""], ["serviceaccounts/token"]),
    _rule(
        _WRITE,
        ["apps"],
        [
            "daemonsets",
            "deployments",
            "deployments/rollback",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    _rule(_WRITE, ["autoscaling"], ["horizontalpodautoscalers"]),
    _rule(_WRITE, ["batch"], ["cronjobs", "jobs"]),
    _rule(_WRITE, ["policy"], ["poddisruptionbudgets"]),
    _rule(_WRITE, ["networking.k8s.io"], ["ingresses", "networkpolicies"]),
    _rule(
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        ["coordination.k8s.io"],
        ["leases"],
    ),
]
_ADMIN = [
    _rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
    _rule(
        ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        ["rbac.authorization.k8s.io"],
        ["rolebindings", "roles"],
    ),
]
NODE_RULES = [
    _rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
    _rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews", "subjectaccessreviews"]),
    _rule(_READ, [""], ["services"]),
    _rule(["create", "get", "list", "watch"], [""], ["nodes"]),
    _rule(["patch", "update"], [""], ["nodes/status"]),
    _rule(["patch", "update"], [""], ["nodes"]),
    _rule(["create", "patch", "update"], ["", "events.k8s.io"], ["events"]),
    _rule(_READ, [""], ["pods"]),
    _rule(["create", "delete"], [""], ["pods"]),
    _rule(["patch", "update"], [""], ["pods/status"]),
    _rule(["create"], [""], ["pods/eviction"]),
    _rule(_READ, [""], ["configmaps", "secrets"]),
    _rule(["get"], [""], ["persistentvolumeclaims", "persistentvolumes"]),
    _rule(_READ, [""], ["endpoints"]),
    _rule(["create", "delete", "get", "patch", "update"], ["coordination.k8s.io"], ["leases"]),
    _rule(["create"], [""], ["serviceaccounts/token"]),
    _rule(_READ, ["storage.k8s.io"], ["csidrivers", "csinodes", "volumeattachments"]),
    _rule(_READ, ["node.k8s.io"], ["runtimeclasses"]),
]

_ROLES: dict[str, list[dict[str, Any]]] = {
    "cluster-admin": [_rule(_ALL, _ALL, _ALL), _paths(_ALL, "*")],
    "system:discovery": [
        _paths(
            ["get"],
            "/api",
            "/api/*",
            "/apis",
            "/apis/*",
            "/healthz",
            "/livez",
            "/openapi",
            "/openapi/*",
            "/readyz",
            "/version",
            "/version/",
        )
    ],
    "system:monitoring": [
        _paths(["get"], "/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/readyz", "/readyz/*")
    ],
    "system:basic-user": [
        _rule(["create"], ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
        _rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]),
    ],
    "system:public-info-viewer": [_paths(["get"], "/healthz", "/livez", "/readyz", "/version", "/version/")],
    "system:service-account-issuer-discovery": [
        _paths(["get"], "/.well-known/openid-configuration", "/openid/v1/jwks", "/openid/v1/jwks/")
    ],
    "system:auth-delegator": [
        _rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
        _rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]),
    ],
    "system:node": NODE_RULES,
    # Garbage collection and the end of a namespace touch every kind; nothing here impersonates or binds roles.
    "system:kube-controller-manager": [
        _rule(["get", "list", "watch", "patch", "update", "delete", "deletecollection"], ["*"], ["*"]),
        _rule(
            ["create"],
            [""],
            [
                "bindings",
                "configmaps",
                "endpoints",
                "events",
                "pods",
                "pods/binding",
                "pods/eviction",
                "serviceaccounts",
            ],
        ),
        _rule(["create"], ["apps"], ["controllerrevisions", "replicasets"]),
        _rule(["create"], ["discovery.k8s.io"], ["endpointslices"]),
        _rule(["create"], ["coordination.k8s.io"], ["leases"]),
        _rule(["create"], ["events.k8s.io"], ["events"]),
        _rule(["sign"], ["certificates.k8s.io"], ["signers"], _SIGNERS),
        # Aggregated ClusterRoles hold rights that their controller has not.
        _rule(["escalate"], ["rbac.authorization.k8s.io"], ["clusterroles"]),
    ],
    "system:node-proxier": [
        _rule(["list", "watch"], [""], ["endpoints", "services"]),
        _rule(["get", "list", "watch"], [""], ["nodes"]),
        _rule(["create", "patch", "update"], ["", "events.k8s.io"], ["events"]),
        _rule(["list", "watch"], ["discovery.k8s.io"], ["endpointslices"]),
    ],
    "system:kubelet-api-admin": [
        _rule(_READ, [""], ["nodes"]),
        _rule(["proxy"], [""], ["nodes"]),
        _rule(_ALL, [""], ["nodes/log", "nodes/metrics", "nodes/proxy", "nodes/stats"]),
    ],
    "system:aggregate-to-view": _VIEW,
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-admin": _ADMIN,
}
_AGGREGATED = {"admin": ("admin", "edit", "view"), "edit": ("edit", "view"), "view": ("view",)}
_BINDINGS = {
    "cluster-admin": ("cluster-admin", [("Group", "system:masters")]),
    "system:discovery": ("system:discovery", [("Group", "system:authenticated")]),
    "system:basic-user": ("system:basic-user", [("Group", "system:authenticated")]),
    "system:public-info-viewer": (
        "system:public-info-viewer",
        [("Group", "system:authenticated"), ("Group", "system:unauthenticated")],
    ),
    "system:monitoring": ("system:monitoring", [("Group", "system:monitoring")]),
    "system:service-account-issuer-discovery": (
        "system:service-account-issuer-discovery",
        [("Group", "system:serviceaccounts")],
    ),
    # Nobody: what a node may do depends on its pods, which is decided by node.py.
    "system:node": ("system:node", []),
    "system:node-proxier": ("system:node-proxier", [("User", "system:kube-proxy")]),
    "system:kube-controller-manager": (
        "system:kube-controller-manager",
        [("User", "system:kube-controller-manager")],
    ),
}
_READER = "extension-apiserver-authentication-reader"


def _meta(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"name": name, "labels": {**_LABELS, **(labels or {})}, "annotations": dict(_ANNOTATIONS)}


def objects() -> list[tuple[str, dict[str, Any]]]:
    """(plural, object) of everything that must exist."""
    api_version = "rbac.authorization.k8s.io/v1"
    result: list[tuple[str, dict[str, Any]]] = []
    for name, rules in _ROLES.items():
        labels = {}
        if name.startswith("system:aggregate-to-"):
            labels = {f"rbac.authorization.k8s.io/aggregate-to-{name.rpartition('-')[2]}": "true"}
        role = {"apiVersion": api_version, "kind": "ClusterRole", "metadata": _meta(name, labels), "rules": rules}
        result.append(("clusterroles", role))
    sources = {"view": _VIEW, "edit": _EDIT, "admin": _ADMIN}
    for name, parts in _AGGREGATED.items():
        target = {"admin": "", "edit": "admin", "view": "edit"}[name]
        labels = {f"rbac.authorization.k8s.io/aggregate-to-{target}": "true"} if target else {}
        selectors = [{"matchLabels": {f"rbac.authorization.k8s.io/aggregate-to-{part}": "true"}} for part in parts[:1]]
        role = {
            "apiVersion": api_version,
            "kind": "ClusterRole",
            "metadata": _meta(name, labels),
            "aggregationRule": {"clusterRoleSelectors": selectors},
            "rules": [rule for part in parts for rule in sources[part]],
        }
        result.append(("clusterroles", role))
    for name, (role_name, subjects) in _BINDINGS.items():
        binding: dict[str, Any] = {
            "apiVersion": api_version,
            "kind": "ClusterRoleBinding",
            "metadata": _meta(name),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role_name},
        }
        if subjects:
            binding["subjects"] = [
                {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": subject} for kind, subject in subjects
            ]
        result.append(("clusterrolebindings", binding))
    reader = {
        "apiVersion": api_version,
        "kind": "Role",
        "metadata": {**_meta(_READER), "namespace": "kube-system"},
        "rules": [_rule(_READ, [""], ["configmaps"], ["extension-apiserver-authentication"])],
    }
    result.append(("roles", reader))
    return result
