"""The resources that embedded mode serves without any CustomResourceDefinition.

Owns: the table of names, verbs and subresources (what discovery shows) and their schemas, bound to the definitions.
Source: the Kubernetes API's discovery documents.
"""

from functools import cache
from typing import Any

from kobune.embedded.apiserver.schema import builtin_shape
from kobune.embedded.apiserver.schema.builtin_versions import autoscaler_codec, event_codec
from kobune.embedded.apiserver.schema.decoder import decode_root
from kobune.embedded.apiserver.schema.definitions import VERSION, definition
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ALL_VERBS, ResourceInfo, ScaleInfo, SubresourceInfo
from kobune.embedded.apiserver.schema.shape import Shape

__all__ = ["VERSION", "BuiltinSchema", "resources", "storage_of"]


class BuiltinSchema:
    """An ObjectSchema over one definition."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def shape(self) -> Shape:
        """See ObjectSchema."""
        return builtin_shape.shape(self.name)

    @property
    def openapi(self) -> dict[str, Any]:
        """See ObjectSchema."""
        return definition(self.name)

    def decode(self, obj: dict[str, Any], *, default: bool = True) -> list[str]:
        """See ObjectSchema. Defaults of built-in kinds are not part of their schema: see `validation.default`."""
        unknown: list[str] = []
        decode_root(self.name, obj, unknown)
        return unknown

    def validate(self, obj: dict[str, Any], old: dict[str, Any] | None = None, *, part: str = "") -> list[FieldError]:
        """Built-in schemas carry types only; their rules are in `validation`."""
        return []


_CRUD = ALL_VERBS
_STATUS = ("get", "patch", "update")
_CONNECT = ("create", "get")
_PROXY = ("create", "delete", "get", "patch", "update")
_CREATE = ("create",)

_CORE = "io.k8s.api.core.v1."
_GROUPS = {
    "": (_CORE, "v1"),
    "apps": ("io.k8s.api.apps.v1.", "v1"),
    "batch": ("io.k8s.api.batch.v1.", "v1"),
    "autoscaling": ("io.k8s.api.autoscaling.v2.", "v2"),
    "autoscaling/v1": ("io.k8s.api.autoscaling.v1.", "v1"),
    "policy": ("io.k8s.api.policy.v1.", "v1"),
    "networking.k8s.io": ("io.k8s.api.networking.v1.", "v1"),
    "rbac.authorization.k8s.io": ("io.k8s.api.rbac.v1.", "v1"),
    "storage.k8s.io": ("io.k8s.api.storage.v1.", "v1"),
    "scheduling.k8s.io": ("io.k8s.api.scheduling.v1.", "v1"),
    "coordination.k8s.io": ("io.k8s.api.coordination.v1.", "v1"),
    "discovery.k8s.io": ("io.k8s.api.discovery.v1.", "v1"),
    "events.k8s.io": ("io.k8s.api.events.v1.", "v1"),
    "node.k8s.io": ("io.k8s.api.node.v1.", "v1"),
    "admissionregistration.k8s.io": ("io.k8s.api.admissionregistration.v1.", "v1"),
    "apiextensions.k8s.io": ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.", "v1"),
    "apiregistration.k8s.io": ("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.", "v1"),
    "authentication.k8s.io": ("io.k8s.api.authentication.v1.", "v1"),
    "authorization.k8s.io": ("io.k8s.api.authorization.v1.", "v1"),
    "certificates.k8s.io": ("io.k8s.api.certificates.v1.", "v1"),
}

# group | plural | kind | N(amespaced) or C(luster) | short names | categories | subresources
_TABLE = """
|bindings|Binding|N|||
|componentstatuses|ComponentStatus|C|cs||
|configmaps|ConfigMap|N|cm||
|endpoints|Endpoints|N|ep||
|events|Event|N|ev||
|limitranges|LimitRange|N|limits||
|namespaces|Namespace|C|ns||finalize status
|nodes|Node|C|no||proxy status
|persistentvolumeclaims|PersistentVolumeClaim|N|pvc||status
|persistentvolumes|PersistentVolume|C|pv||status
|pods|Pod|N|po|all|attach binding ephemeralcontainers eviction exec log portforward proxy resize status
|podtemplates|PodTemplate|N|||
|replicationcontrollers|ReplicationController|N|rc|all|scale status
|resourcequotas|ResourceQuota|N|quota||status
|secrets|Secret|N|||
|serviceaccounts|ServiceAccount|N|sa||token
|services|Service|N|svc|all|proxy status
apps|controllerrevisions|ControllerRevision|N|||
apps|daemonsets|DaemonSet|N|ds|all|status
apps|deployments|Deployment|N|deploy|all|scale status
apps|replicasets|ReplicaSet|N|rs|all|scale status
apps|statefulsets|StatefulSet|N|sts|all|scale status
batch|cronjobs|CronJob|N|cj|all|status
batch|jobs|Job|N||all|status
autoscaling|horizontalpodautoscalers|HorizontalPodAutoscaler|N|hpa|all|status
autoscaling/v1|horizontalpodautoscalers|HorizontalPodAutoscaler|N|hpa|all|status
policy|poddisruptionbudgets|PodDisruptionBudget|N|pdb||status
networking.k8s.io|ingressclasses|IngressClass|C|||
networking.k8s.io|ingresses|Ingress|N|ing||status
networking.k8s.io|networkpolicies|NetworkPolicy|N|netpol||
rbac.authorization.k8s.io|clusterrolebindings|ClusterRoleBinding|C|||
rbac.authorization.k8s.io|clusterroles|ClusterRole|C|||
rbac.authorization.k8s.io|rolebindings|RoleBinding|N|||
rbac.authorization.k8s.io|roles|Role|N|||
storage.k8s.io|csidrivers|CSIDriver|C|||
storage.k8s.io|csinodes|CSINode|C|||
storage.k8s.io|csistoragecapacities|CSIStorageCapacity|N|||
storage.k8s.io|storageclasses|StorageClass|C|sc||
storage.k8s.io|volumeattachments|VolumeAttachment|C|||status
scheduling.k8s.io|priorityclasses|PriorityClass|C|pc||
coordination.k8s.io|leases|Lease|N|||
discovery.k8s.io|endpointslices|EndpointSlice|N|||
events.k8s.io|events|Event|N|ev||
node.k8s.io|runtimeclasses|RuntimeClass|C|||
admissionregistration.k8s.io|mutatingwebhookconfigurations|MutatingWebhookConfiguration|C||api-extensions|
admissionregistration.k8s.io|validatingadmissionpolicies|ValidatingAdmissionPolicy|C||api-extensions|status
admissionregistration.k8s.io|validatingadmissionpolicybindings|ValidatingAdmissionPolicyBinding|C||api-extensions|
admissionregistration.k8s.io|validatingwebhookconfigurations|ValidatingWebhookConfiguration|C||api-extensions|
apiextensions.k8s.io|customresourcedefinitions|CustomResourceDefinition|C|crd,crds|api-extensions|status
apiregistration.k8s.io|apiservices|APIService|C||api-extensions|status
authentication.k8s.io|selfsubjectreviews|SelfSubjectReview|C|||
authentication.k8s.io|tokenreviews|TokenReview|C|||
authorization.k8s.io|localsubjectaccessreviews|LocalSubjectAccessReview|N|||
authorization.k8s.io|selfsubjectaccessreviews|SelfSubjectAccessReview|C|||
authorization.k8s.io|selfsubjectrulesreviews|SelfSubjectRulesReview|C|||
authorization.k8s.io|subjectaccessreviews|SubjectAccessReview|C|||
certificates.k8s.io|certificatesigningrequests|CertificateSigningRequest|C|csr||approval status
"""

_VERBS = {
    "bindings": _CREATE,
    "componentstatuses": ("get", "list"),
    "namespaces": ("create", "delete", "get", "list", "patch", "update", "watch"),
    "services": _CRUD,
    "selfsubjectreviews": _CREATE,
    "tokenreviews": _CREATE,
    "localsubjectaccessreviews": _CREATE,
    "selfsubjectaccessreviews": _CREATE,
    "selfsubjectrulesreviews": _CREATE,
    "subjectaccessreviews": _CREATE,
}
_SINGULAR = {
    "endpoints": "endpoints",
    "componentstatuses": "componentstatus",
}
_SUBRESOURCES: dict[str, tuple[str, tuple[str, ...], str | None, str | None]] = {
    "attach": ("PodAttachOptions", _CONNECT, None, None),
    "binding": ("Binding", _CREATE, None, None),
    "eviction": ("Eviction", _CREATE, "policy", "v1"),
    "exec": ("PodExecOptions", _CONNECT, None, None),
    "log": ("", ("get",), None, None),
    "portforward": ("PodPortForwardOptions", _CONNECT, None, None),
    "proxy": ("ProxyOptions", _PROXY, None, None),
    "scale": ("Scale", _STATUS, "autoscaling", "v1"),
    "token": ("TokenRequest", _CREATE, "authentication.k8s.io", "v1"),
    "finalize": ("", ("update",), None, None),
}
_SELECTABLE = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "replicasets": ("status.replicas",),
    "jobs": ("status.successful",),
    "certificatesigningrequests": ("spec.signerName",),
}
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)
_DEPRECATED = {
    "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+",
    "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}
_SCALE = ScaleInfo(".spec.replicas", ".status.replicas", ".status.selector")


def _subresource(name: str, kind: str) -> SubresourceInfo:
    sub_kind, verbs, group, version = _SUBRESOURCES.get(name, ("", _STATUS, None, None))
    if name == "proxy":
        sub_kind = f"{kind}ProxyOptions"
    return SubresourceInfo(name, sub_kind or kind, verbs, group, version)


def _info(line: str) -> ResourceInfo:
    group, plural, kind, scope, short, categories, subs = line.split("|")
    prefix, version = _GROUPS[group]
    group = group.partition("/")[0]
    verbs = _VERBS.get(plural, _CRUD)
    selectable = _EVENT_FIELDS if plural == "events" and not group else _SELECTABLE.get(plural, ())
    return ResourceInfo(
        group=group,
        version=version,
        plural=plural,
        singular=_SINGULAR.get(plural, kind.lower()),
        kind=kind,
        list_kind=f"{kind}List",
        namespaced=scope == "N",
        schema=BuiltinSchema(prefix + kind),
        verbs=verbs,
        short_names=tuple(filter(None, short.split(","))),
        categories=tuple(filter(None, categories.split(","))),
        subresources=tuple(_subresource(s, kind) for s in subs.split()),
        selectable_fields=selectable,
        scale=_SCALE if "scale" in subs.split() else None,
        storage_version="v2" if kind == "HorizontalPodAutoscaler" else version,
        extra=_codec(group, kind),
        stored=verbs != _CREATE and plural != "componentstatuses",
        deprecated_warning=_DEPRECATED.get(plural),
    )


def _codec(group: str, kind: str) -> dict[str, Any]:
    if kind == "HorizontalPodAutoscaler":
        return {"codec": autoscaler_codec()}
    return {"codec": event_codec()} if kind == "Event" else {}


def storage_of(info: ResourceInfo) -> dict[str, str]:
    """Where a resource is stored when that is not its own place: arguments of the registry's `add`."""
    if info.kind == "Event" and info.group:
        return {"share": "core/events", "storage_type": "v1 Event"}
    return {}


@cache
def resources() -> tuple[ResourceInfo, ...]:
    """Every built-in resource. Stored kinds first have `stored`; others are only answered."""
    return tuple(_info(line) for line in _TABLE.strip().splitlines())
