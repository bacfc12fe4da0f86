"""What RBAC cannot say: a virt-handler changes its own node and the instances on it, nobody else's.

Owns ValidatingAdmissionPolicies (Kubernetes 1.30 and later). For handlers that are pods: their tokens say which node
they run on. A token that names no node is one that an administrator gave to a handler outside of a pod.
"""

from typing import Any, Final

from kobune.operator.names import PART_OF, service_account

__all__ = ["handler_policies"]

Manifest = dict[str, Any]
GROUP: Final = "admissionregistration.k8s.io"
_NODE: Final = "authentication.kubernetes.io/node-name"


def handler_policies(namespace: str) -> list[Manifest]:
    """The policies of virt-handler, whose ServiceAccount is in `namespace`, and their bindings."""
    own_instance = " || ".join(
        (
            "(has(oldObject.status.nodeName) && oldObject.status.nodeName == variables.node)",
            "(has(oldObject.status.migrationState) && has(oldObject.status.migrationState.targetNode)"
            " && oldObject.status.migrationState.targetNode == variables.node)",
        )
    )
    return [
        *_policy(
            "kobune-virt-handler-own-node",
            namespace,
            {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes", "nodes/status"]},
            "object.metadata.name == variables.node",
            "a virt-handler changes the node that it runs on, and no other",
        ),
        *_policy(
            "kobune-virt-handler-own-instances",
            namespace,
            {"apiGroups": ["kubevirt.io"], "apiVersions": ["*"], "resources": ["virtualmachineinstances"]},
            f"has(oldObject.status) && ({own_instance})",
            "a virt-handler changes the instances on the node that it runs on, and no others",
        ),
    ]


def _policy(name: str, namespace: str, rule: Manifest, expression: str, message: str) -> list[Manifest]:
    metadata = {"name": name, "labels": dict(PART_OF)}
    account = f"system:serviceaccount:{namespace}:{service_account('virt-handler')}"
    return [
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [{**rule, "operations": ["UPDATE"]}]},
                "matchConditions": [
                    {"name": "by-virt-handler", "expression": f"request.userInfo.username == '{account}'"},
                    {
                        "name": "of-a-node",
                        "expression": f"has(request.userInfo.extra) && '{_NODE}' in request.userInfo.extra",
                    },
                ],
                "variables": [{"name": "node", "expression": f"request.userInfo.extra['{_NODE}'][0]"}],
                "validations": [{"expression": expression, "message": message, "reason": "Forbidden"}],
            },
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]
