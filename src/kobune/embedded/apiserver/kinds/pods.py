"""pods/binding and pods/eviction (and the old bindings resource)."""

import asyncio
from typing import Any

from kobune.embedded.apiserver.http.message import AnyResponse
from kobune.embedded.apiserver.registry.selectors import from_label_selector
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.body import conform, read
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.delete import delete_object
from kobune.embedded.apiserver.rest.options import write_options
from kobune.embedded.apiserver.schema.builtin import BuiltinSchema
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.schema.strict import BodyError
from kobune.embedded.apiserver.status import (
    StatusError,
    bad_request,
    conflict,
    invalid,
    method_not_allowed,
    modified,
    not_found,
    success,
)
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.store import RevisionConflict

__all__ = ["bind", "evict"]

_BINDING = ResourceInfo(
    group="",
    version="v1",
    plural="bindings",
    singular="binding",
    kind="Binding",
    namespaced=True,
    schema=BuiltinSchema("io.k8s.api.core.v1.Binding"),
    stored=False,
)
_EVICTION = ResourceInfo(
    group="policy",
    version="v1",
    plural="evictions",
    singular="eviction",
    kind="Eviction",
    namespaced=True,
    schema=BuiltinSchema("io.k8s.api.policy.v1.Eviction"),
    stored=False,
)
_RETRIES = 8


def _read(call: Call, info: ResourceInfo) -> tuple[dict[str, Any], bool]:
    if call.info.verb != "create":
        raise method_not_allowed()
    options = write_options(call.request, kind="CreateOptions")
    try:
        value, duplicates = read(call.request)
    except BodyError as error:
        raise bad_request(str(error)) from error
    if not isinstance(value, dict) or value.get("kind", info.kind) != info.kind:
        raise bad_request(f"the object provided is unrecognized (must be of type {info.kind})")
    call.options = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
    if options.dry_run:
        call.options["dryRun"] = ["All"]
    call.dry_run = options.dry_run
    call.body_kind = (info.group, info.version, info.kind)
    return conform(call, info, value, options.field_validation, duplicates), options.dry_run


async def bind(call: Call) -> AnyResponse:
    """Assign a pod to a node, once."""
    binding, dry_run = _read(call, _BINDING)
    name = call.info.name or binding["metadata"].get("name", "")
    if name != binding["metadata"].get("name"):
        raise bad_request("name in URL does not match name in Binding object")
    target = binding.get("target") or {}
    errors = []
    if target.get("kind", "Node") not in ("", "Node"):
        errors.append(FieldError.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(FieldError.required("target.name"))
    if errors:
        # A real server says 500 here, for want of a name for the error; it is the client's mistake all the same.
        raise invalid("", "Binding", name, errors)
    await call.services.admission.review(call, "CREATE", binding)
    pods = call.services.storage.collection("core/pods")
    for _ in range(_RETRIES):
        found = pods.get(call.info.namespace, name)
        if found is None:
            raise not_found("", "pods", name)
        pod = found.object()
        metadata, spec = pod["metadata"], pod["spec"]
        uid = binding["metadata"].get("uid")
        if uid and uid != metadata["uid"]:
            raise conflict(
                "",
                "pods/binding",
                name,
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata['uid']}",
            )
        if metadata.get("deletionTimestamp"):
            raise conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
        if spec.get("nodeName"):
            raise conflict("", "pods/binding", name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
        if spec.get("schedulingGates"):
            raise conflict("", "pods/binding", name, f"pod {name} has non-empty .spec.schedulingGates")
        spec["nodeName"] = target["name"]
        if annotations := binding["metadata"].get("annotations"):
            metadata.setdefault("annotations", {}).update(annotations)
        conditions = pod.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [condition for condition in conditions if condition["type"] != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
        )
        if dry_run:
            break
        try:
            await call.services.storage.put(pods, pod, found.revision)
            break
        except RevisionConflict:
            await call.services.storage.log.settle()
    else:
        raise modified("", "pods", name)
    return respond.document(call.request, 201, success() | {"code": 201}, call.warnings)


async def evict(call: Call) -> AnyResponse:
    """Delete a pod unless a disruption budget forbids it."""
    eviction, dry_run = _read(call, _EVICTION)
    name = call.info.name
    if eviction["metadata"].get("name") != name:
        raise bad_request("name in URL does not match name in Eviction object")
    await call.services.admission.review(call, "CREATE", eviction)
    call.body_kind = None
    pods = call.services.storage.collection("core/pods")
    found = pods.get(call.info.namespace, name)
    if found is None:
        raise not_found("", "pods", name)
    options = dict(eviction.get("deleteOptions") or {})
    call.dry_run = dry_run or bool(options.get("dryRun"))
    pod = found.object()
    if not _terminal(pod):
        for _ in range(_RETRIES):
            try:
                await _spend_budget(call, pod)
                break
            except RevisionConflict:
                await asyncio.sleep(0.01)
                await call.services.storage.log.settle()
    await delete_object(call, name, options)
    return respond.document(call.request, 201, success() | {"code": 201}, call.warnings)


def _terminal(pod: dict[str, Any]) -> bool:
    phase = (pod.get("status") or {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(pod["metadata"].get("deletionTimestamp"))


async def _spend_budget(call: Call, pod: dict[str, Any]) -> None:
    """Take one disruption from the pod's budget. Raises StatusError 429, RevisionConflict."""
    budgets = call.services.storage.collection("policy/poddisruptionbudgets")
    labels = pod["metadata"].get("labels") or {}
    matching = []
    for item in budgets.select(call.info.namespace):
        budget = item.object()
        selector = from_label_selector((budget.get("spec") or {}).get("selector"))
        if selector is not None and selector.matches(labels):
            matching.append((item, budget))
    if not matching:
        return
    if len(matching) > 1:
        raise StatusError(
            500,
            "InternalError",
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        )
    item, budget = matching[0]
    status = budget.setdefault("status", {})
    if not _ready(pod) and status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0) > 0:
        return
    name = item.name
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", retry_s=10)
    if status.get("disruptionsAllowed", 0) <= 0:
        raise _refused(
            f"The disruption budget {name} needs {status.get('desiredHealthy', 0)} healthy pods and has"
            f" {status.get('currentHealthy', 0)} currently"
        )
    status["disruptionsAllowed"] -= 1
    status.setdefault("disruptedPods", {})[pod["metadata"]["name"]] = now()
    if not call.dry_run:
        await call.services.storage.put(budgets, budget, item.revision)


def _ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _refused(cause: str, retry_s: int = 0) -> StatusError:
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": cause}]}
    headers = {}
    if retry_s:
        details["retryAfterSeconds"] = retry_s
        headers["Retry-After"] = str(retry_s)
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return StatusError(429, "TooManyRequests", message, details, headers)
