"""Strategies of built-in kinds that differ from the shared one."""

from typing import Any

from kobune.embedded.apiserver.crd.validate import default_crd, prepare_crd
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.strategy.base import Strategy
from kobune.embedded.apiserver.strategy.jobs import JobStrategy
from kobune.embedded.apiserver.strategy.pods import PodStrategy
from kobune.embedded.apiserver.timestamps import now

__all__ = ["BUILTIN"]


class _Generation(Strategy):
    generation = True


class _Workload(_Generation):
    def default_propagation(self, info: ResourceInfo) -> str:
        return "Background"


class _ReplicationController(_Generation):
    def default_propagation(self, info: ResourceInfo) -> str:
        return "Orphan"


class _ReturnsDeleted(Strategy):
    returns_deleted = True


class _Namespace(Strategy):
    initial_status = {"phase": "Active"}

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        super().prepare_create(info, obj)
        spec = obj.setdefault("spec", {})
        finalizers = spec.setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        if subresource == "finalize":
            finalizers = (obj.get("spec") or {}).get("finalizers")
            metadata, status = old["metadata"], old.get("status")
            obj["spec"] = {"finalizers": finalizers} if finalizers else {}
            if status is not None:
                obj["status"] = status
            obj["metadata"] = {**metadata, "resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return
        super().prepare_update(info, obj, old, subresource)
        if not subresource:
            obj["spec"] = old.get("spec", {})
            obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")


class _Node(Strategy):
    keeps_status_on_create = True


class _Claim(_ReturnsDeleted):
    initial_status = {"phase": "Pending"}


class _Volume(_ReturnsDeleted):
    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        super().prepare_create(info, obj)
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now()}

    def prepare_status(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any]) -> None:
        super().prepare_status(info, obj, old)
        status, before = obj.get("status") or {}, old.get("status") or {}
        if status.get("phase") != before.get("phase"):
            status["lastPhaseTransitionTime"] = now()
        elif "lastPhaseTransitionTime" in before:
            status.setdefault("lastPhaseTransitionTime", before["lastPhaseTransitionTime"])


class _Service(_ReturnsDeleted):
    create_on_update = True
    initial_status = {"loadBalancer": {}}

    def prepare_status(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any]) -> None:
        super().prepare_status(info, obj, old)
        for ingress in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


class _Ingress(_Generation):
    initial_status = {"loadBalancer": {}}


class _Lease(Strategy):
    create_on_update = True
    unconditional_update = False


class _CreatedByUpdate(Strategy):
    create_on_update = True


class _RuntimeClass(Strategy):
    create_on_update = True
    unconditional_update = False


class _Conditional(Strategy):
    """Updates have to name the version that they change."""

    unconditional_update = False


class _EndpointSlice(Strategy):
    generation = True
    spec_fields = ("addressType", "endpoints", "ports")

    def count_generation(self, obj: dict[str, Any], old: dict[str, Any]) -> None:
        super().count_generation(obj, old)
        relabelled = (obj["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {})
        if relabelled and obj["metadata"].get("generation") == old["metadata"].get("generation"):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


class _Configuration(_Generation):
    """Webhook configurations: their lists are the spec."""

    unconditional_update = False
    spec_fields = ("webhooks",)


class _ConditionalGeneration(_Generation):
    unconditional_update = False


class _Definition(_Generation):
    unconditional_update = False

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        super().prepare_create(info, obj)
        default_crd(obj)
        prepare_crd(obj, None)

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        default_crd(obj)
        super().prepare_update(info, obj, old, subresource)
        if subresource != "status":
            status = dict(obj.get("status") or {})
            prepare_crd(obj, old)
            obj["status"] = {**status, "storedVersions": obj["status"]["storedVersions"]}

    def hold_deletion(self, finalizers: list[str]) -> list[str]:
        name = "customresourcecleanup.apiextensions.k8s.io"
        return finalizers if name in finalizers else [*finalizers, name]


class _Role(Strategy):
    """Go writes a missing list of rules as null."""

    create_on_update = True

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        super().prepare_create(info, obj)
        obj["rules"] = obj.get("rules") or None

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        super().prepare_update(info, obj, old, subresource)
        obj["rules"] = obj.get("rules") or None


class _CertificateRequest(Strategy):
    """Immutable but for the answers: /approval writes Approved and Denied, /status the rest."""

    def prepare_create(self, info: ResourceInfo, obj: dict[str, Any]) -> None:
        super().prepare_create(info, obj)
        obj["status"] = {}

    def prepare_update(self, info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> None:
        obj["spec"] = old.get("spec") or {}
        status, before = obj.get("status") or {}, old.get("status") or {}
        conditions = [dict(condition) for condition in status.get("conditions") or ()]
        if not subresource:
            obj["status"] = before
            return
        if subresource == "approval":
            status = before
        _stamp(conditions, before.get("conditions") or [])
        obj["status"] = {**status, "conditions": conditions} if conditions else dict(status)


def _stamp(conditions: list[dict[str, Any]], before: list[dict[str, Any]]) -> None:
    """Times that the client left out: those of the same condition before, else now."""
    for condition in conditions:
        for time, fields in (
            ("lastTransitionTime", ("type", "status")),
            ("lastUpdateTime", ("type", "status", "reason", "message")),
        ):
            if not condition.get(time):
                same = (c for c in before if all(c.get(f) == condition.get(f) for f in fields) and c.get(time))
                condition[time] = next((c[time] for c in same), now())


class _Quota(_ReturnsDeleted):
    initial_status: dict[str, Any] | None = {}


_RBAC = "rbac.authorization.k8s.io"

BUILTIN: dict[tuple[str, str], Strategy] = {
    ("", "pods"): PodStrategy(),
    ("", "namespaces"): _Namespace(),
    ("", "nodes"): _Node(),
    ("", "persistentvolumeclaims"): _Claim(),
    ("", "persistentvolumes"): _Volume(),
    ("", "services"): _Service(),
    ("", "serviceaccounts"): _ReturnsDeleted(),
    ("", "podtemplates"): _ReturnsDeleted(),
    ("", "resourcequotas"): _Quota(),
    ("scheduling.k8s.io", "priorityclasses"): _Generation(),
    (_RBAC, "roles"): _Role(),
    (_RBAC, "clusterroles"): _Role(),
    ("", "replicationcontrollers"): _ReplicationController(),
    ("", "events"): _CreatedByUpdate(),
    ("events.k8s.io", "events"): _CreatedByUpdate(),
    ("", "endpoints"): _CreatedByUpdate(),
    ("", "limitranges"): _CreatedByUpdate(),
    (_RBAC, "rolebindings"): _CreatedByUpdate(),
    (_RBAC, "clusterrolebindings"): _CreatedByUpdate(),
    ("node.k8s.io", "runtimeclasses"): _RuntimeClass(),
    ("storage.k8s.io", "csidrivers"): _ConditionalGeneration(),
    ("storage.k8s.io", "csinodes"): _Conditional(),
    ("storage.k8s.io", "volumeattachments"): _Conditional(),
    ("apiregistration.k8s.io", "apiservices"): _Conditional(),
    ("apps", "deployments"): _Workload(),
    ("apps", "replicasets"): _Workload(),
    ("apps", "statefulsets"): _Workload(),
    ("apps", "daemonsets"): _Workload(),
    ("batch", "jobs"): JobStrategy(),
    ("batch", "cronjobs"): _Workload(),
    ("policy", "poddisruptionbudgets"): _ConditionalGeneration(),
    ("networking.k8s.io", "ingresses"): _Ingress(),
    ("networking.k8s.io", "ingressclasses"): _Generation(),
    ("networking.k8s.io", "networkpolicies"): _Generation(),
    ("certificates.k8s.io", "certificatesigningrequests"): _CertificateRequest(),
    ("coordination.k8s.io", "leases"): _Lease(),
    ("discovery.k8s.io", "endpointslices"): _EndpointSlice(),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"): _Configuration(),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): _Configuration(),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): _ConditionalGeneration(),
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): _ConditionalGeneration(),
    ("apiextensions.k8s.io", "customresourcedefinitions"): _Definition(),
}
