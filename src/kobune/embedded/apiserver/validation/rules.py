"""Which rules apply to which kind: the entry points of this package.

Owns: the dispatch tables and the order and repetition of metadata checks, which clients see in the causes of a Status.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.crd import validate_crd
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    path_segment,
)
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.validation import (
    access,
    admission,
    certificates,
    core,
    networking,
    nodes,
    others,
    pods,
    policies,
    services,
    volumes,
    workloads,
)
from kobune.embedded.apiserver.validation.defaults import DEFAULTS
from kobune.embedded.apiserver.validation.metadata import NameRule, metadata_create, metadata_update

__all__ = ["default", "validate_create", "validate_update"]

_Check = Callable[[dict[str, Any]], list[FieldError]]
_UpdateCheck = Callable[[dict[str, Any], dict[str, Any]], list[FieldError]]
_RBAC = "rbac.authorization.k8s.io"
_HOOKS = "admissionregistration.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"
_REQUEST = ("certificates.k8s.io", "CertificateSigningRequest")

_NAMES: dict[tuple[str, str], NameRule] = {
    ("", "Namespace"): is_dns1123_label,
    ("", "Service"): is_dns1123_label,
    ("apps", "StatefulSet"): is_dns1123_label,
    (_RBAC, "Role"): path_segment,
    (_RBAC, "ClusterRole"): path_segment,
    (_RBAC, "RoleBinding"): path_segment,
    (_RBAC, "ClusterRoleBinding"): path_segment,
    _REQUEST: path_segment,
    ("apiregistration.k8s.io", "APIService"): path_segment,
}
_CREATE: dict[tuple[str, str], _Check] = {
    ("", "Pod"): pods.pod_create,
    ("", "ConfigMap"): core.config_map_create,
    ("", "Secret"): core.secret_create,
    ("", "Service"): services.service_create,
    ("", "PersistentVolumeClaim"): volumes.claim_create,
    ("", "PersistentVolume"): volumes.volume_create,
    ("", "ResourceQuota"): core.quota,
    ("", "LimitRange"): core.limit_range,
    ("", "Node"): nodes.node_create,
    ("", "Event"): nodes.event,
    ("", "Endpoints"): others.endpoints,
    ("events.k8s.io", "Event"): nodes.event,
    ("apps", "ControllerRevision"): nodes.revision,
    ("autoscaling", "HorizontalPodAutoscaler"): nodes.autoscaler,
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "ReplicaSet"): workloads.workload,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("batch", "CronJob"): workloads.cron_job,
    ("policy", "PodDisruptionBudget"): workloads.disruption_budget,
    (_RBAC, "Role"): access.role,
    (_RBAC, "ClusterRole"): access.role,
    (_RBAC, "RoleBinding"): access.binding,
    (_RBAC, "ClusterRoleBinding"): access.binding,
    (_HOOKS, "ValidatingWebhookConfiguration"): admission.webhooks,
    (_HOOKS, "MutatingWebhookConfiguration"): admission.webhooks,
    (_HOOKS, "ValidatingAdmissionPolicy"): policies.policy,
    (_HOOKS, "ValidatingAdmissionPolicyBinding"): policies.policy_binding,
    _REQUEST: certificates.request,
    ("coordination.k8s.io", "Lease"): others.lease,
    ("networking.k8s.io", "NetworkPolicy"): networking.network_policy,
    ("networking.k8s.io", "Ingress"): networking.ingress_create,
    ("networking.k8s.io", "IngressClass"): networking.ingress_class,
    ("node.k8s.io", "RuntimeClass"): others.runtime_class,
    ("storage.k8s.io", "CSIDriver"): others.csi_driver,
    ("discovery.k8s.io", "EndpointSlice"): others.endpoint_slice,
    ("scheduling.k8s.io", "PriorityClass"): others.priority_class,
    ("storage.k8s.io", "StorageClass"): volumes.storage_class,
    ("apiregistration.k8s.io", "APIService"): others.api_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): validate_crd,
}
_UNNAMED: dict[tuple[str, str], _Check] = {
    (_AUTHORIZATION, "SubjectAccessReview"): access.access_review,
    (_AUTHORIZATION, "SelfSubjectAccessReview"): access.access_review,
    (_AUTHORIZATION, "LocalSubjectAccessReview"): access.access_review,
    ("authentication.k8s.io", "TokenRequest"): access.token_request,
}
"""Kinds that are answered, not stored: nothing is asked of their metadata."""
_UPDATE: dict[tuple[str, str], _UpdateCheck] = {
    ("", "Pod"): pods.pod_update,
    ("", "ConfigMap"): core.config_map_update,
    ("", "Secret"): core.secret_update,
    ("", "Service"): services.service_update,
    ("", "PersistentVolumeClaim"): volumes.claim_update,
    ("", "PersistentVolume"): volumes.volume_update,
    ("", "Node"): nodes.node_update,
    ("apps", "ControllerRevision"): nodes.revision_update,
    ("discovery.k8s.io", "EndpointSlice"): others.endpoint_slice_update,
    ("apps", "Deployment"): lambda new, old: workloads.deployment(new) + workloads.selector_update(new, old),
    ("apps", "ReplicaSet"): lambda new, old: workloads.workload(new) + workloads.selector_update(new, old),
    ("apps", "DaemonSet"): lambda new, old: workloads.daemon_set(new) + workloads.selector_update(new, old),
    ("apps", "StatefulSet"): lambda new, old: workloads.stateful_set(new) + workloads.stateful_set_update(new, old),
    _REQUEST: certificates.request_update,
    ("networking.k8s.io", "Ingress"): lambda new, _: networking.ingress(new),
    ("batch", "Job"): lambda new, old: workloads.job(new) + workloads.job_update(new, old),
    (_RBAC, "RoleBinding"): access.binding_update,
    (_RBAC, "ClusterRoleBinding"): access.binding_update,
    ("scheduling.k8s.io", "PriorityClass"): others.priority_class_update,
    ("storage.k8s.io", "StorageClass"): volumes.storage_class_update,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): validate_crd,
}
_PART_UPDATE: dict[tuple[tuple[str, str], str], _UpdateCheck] = {
    (("", "Namespace"), "status"): nodes.namespace_status,
    (_REQUEST, "approval"): certificates.approval_update,
    (_REQUEST, "status"): certificates.status_update,
}
"""Of a kind's subresource; others are checked for their metadata alone."""
_REVALIDATED = {("", "ConfigMap"): 2, ("", "Secret"): 1, (_RBAC, "Role"): 1, (_RBAC, "ClusterRole"): 1}
"""How often the update of a kind is checked like a creation as well: errors of metadata show that often once more."""


def default(info: ResourceInfo, obj: dict[str, Any]) -> None:
    """Fill in the defaults of a built-in kind, in place. Defaults of custom resources come from their schema."""
    if not info.custom:
        fill = DEFAULTS.get((info.group, info.kind))
        if fill is not None:
            fill(obj)


def validate_create(info: ResourceInfo, obj: dict[str, Any]) -> list[FieldError]:
    """Everything that is wrong with a new object, metadata included."""
    key = (info.group, info.kind)
    if not info.custom and key in _UNNAMED:
        return _UNNAMED[key](obj)
    rule = is_dns1123_subdomain if info.custom else _NAMES.get(key, is_dns1123_subdomain)
    meta = obj.get("metadata") or {}
    if key == ("", "Event"):
        rule = path_segment
    errors = metadata_create(meta, namespaced=info.namespaced, name_rule=rule)
    if not errors and rule is not path_segment:
        name = meta.get("name", "")
        errors += [FieldError.invalid("metadata.name", name, m) for m in path_segment(name)]
    if info.custom:
        return errors + info.schema.validate(obj) + _scale(info, obj)
    check = _CREATE.get(key)
    return errors + (check(obj) if check else [])


def validate_update(
    info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str = ""
) -> list[FieldError]:
    """Everything that is wrong with a changed object. `old` is the stored one in the same version."""
    key = (info.group, info.kind)
    meta, before = obj.get("metadata") or {}, old.get("metadata") or {}
    errors = metadata_update(meta, before)
    if info.custom:
        if subresource == "status":
            return errors + info.schema.validate(obj, old, part="status")
        return errors + info.schema.validate(obj, old) + _scale(info, obj)
    # The real server checks metadata of built-in kinds in the generic and again in the kind's own code.
    errors += metadata_update(meta, before)
    for _ in range(_REVALIDATED.get(key, 0)):
        errors += metadata_create(meta, namespaced=info.namespaced, name_rule=_NAMES.get(key, is_dns1123_subdomain))
    if subresource:
        part = _PART_UPDATE.get((key, subresource))
        return errors + (part(obj, old) if part else [])
    check = _UPDATE.get(key)
    if check is not None:
        return errors + check(obj, old)
    plain = _CREATE.get(key)
    return errors + (plain(obj) if plain else [])


def _scale(info: ResourceInfo, obj: dict[str, Any]) -> list[FieldError]:
    """Replicas at the path of the scale subresource are a non-negative number."""
    if info.scale is None:
        return []
    value: Any = obj
    for name in info.scale.spec_replicas_path.lstrip(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return [FieldError.invalid(info.scale.spec_replicas_path, value, "should be a non-negative integer")]
    return []
