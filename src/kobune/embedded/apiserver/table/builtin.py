"""Columns and rows of built-in kinds.

Owns: one row function per kind, with its column names (a leading + means: shown with -o wide). Types other than string
are written after a colon. Source: what kubectl get shows against a real cluster.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.cells import NONE, age, duration, labels_text, selector_text, short_age
from kobune.embedded.apiserver.table.pods import POD_COLUMNS, pod_row

__all__ = ["BUILTIN", "Row"]

Row = Callable[[dict[str, Any], datetime], list[Any]]
_Obj = dict[str, Any]


def _name(obj: _Obj) -> str:
    return str(obj["metadata"].get("name", ""))


def _config_map(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), short_age(obj, now)]


def _secret(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or ()), short_age(obj, now)]


def _service(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kind = spec.get("type", "")
    external = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        ingress = (status.get("loadBalancer") or {}).get("ingress") or []
        external = [i.get("ip") or i.get("hostname") for i in ingress] + external
        shown = ",".join(filter(None, external)) or "<pending>"
    elif kind == "ExternalName":
        shown = spec.get("externalName", "")
    else:
        shown = ",".join(external) or NONE
    ports = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        ports.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    address = (spec.get("clusterIPs") or [spec.get("clusterIP")])[0]
    return [
        _name(obj),
        kind,
        address or NONE,
        shown,
        ",".join(ports) or NONE,
        short_age(obj, now),
        labels_text(spec.get("selector")),
    ]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _modes(modes: list[str] | None) -> str:
    order = list(_MODES)
    known = sorted({m for m in modes or () if m in _MODES}, key=order.index)
    return ",".join(_MODES[m] for m in known)


def _claim(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    return [
        _name(obj),
        phase,
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        short_age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _volume(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    claim = spec.get("claimRef")
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        _name(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        short_age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _node(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    states = ["Ready" if ready.get("status") == "True" else "NotReady"] if ready else ["Unknown"]
    if spec.get("unschedulable"):
        states.append("SchedulingDisabled")
    roles = set()
    for key, value in (obj["metadata"].get("labels") or {}).items():
        if key.startswith("node-role.kubernetes.io/"):
            roles.add(key.split("/", 1)[1])
        elif key == "kubernetes.io/role" and value:
            roles.add(value)
    addresses = {a.get("type"): a.get("address") for a in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        _name(obj),
        ",".join(states),
        ",".join(sorted(filter(None, roles))) or NONE,
        short_age(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _namespace(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), (obj.get("status") or {}).get("phase", ""), short_age(obj, now)]


def _service_account(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), len(obj.get("secrets") or ()), short_age(obj, now)]


def _endpoints(obj: _Obj, now: datetime) -> list[Any]:
    shown: list[str] = []
    for subset in obj.get("subsets") or ():
        for address in subset.get("addresses") or ():
            ports = subset.get("ports") or []
            shown += [f"{address.get('ip')}:{p.get('port')}" for p in ports] or [str(address.get("ip"))]
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return [_name(obj), ",".join(shown[:3]) + more or NONE, short_age(obj, now)]


def _slice(obj: _Obj, now: datetime) -> list[Any]:
    ports = [str(p["port"]) if p.get("port") is not None else "*" for p in obj.get("ports") or ()]
    addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]

    def short(values: list[str]) -> str:
        more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
        return ",".join(values[:3]) + more

    return [
        _name(obj),
        obj.get("addressType", ""),
        short(ports) or "<unset>",
        short(addresses) or "<unset>",
        short_age(obj, now),
    ]


def _event(obj: _Obj, now: datetime) -> list[Any]:
    target = obj.get("involvedObject") or obj.get("regarding") or {}
    kind = str(target.get("kind", "")).lower()
    shown = f"{kind}/{target.get('name')}" if target.get("name") else kind
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp")
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or last or first
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    count = series.get("count") or obj.get("count") or obj.get("deprecatedCount") or 1
    return [
        age(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        shown,
        target.get("fieldPath", ""),
        f"{reporter}, {host}" if host else reporter,
        str(obj.get("message") or obj.get("note") or "").strip(),
        age(first, now),
        count,
        _name(obj),
    ]


def _quota(obj: _Obj, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(hard):
        text = f"{name}: {used.get(name, '0')}/{hard[name]}"
        (limits if name.startswith("limits.") else requests).append(text)
    return [_name(obj), ", ".join(requests), ", ".join(limits), short_age(obj, now)]


def _images(spec: _Obj) -> list[str]:
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    return [",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)]


def _deployment(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        _name(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        short_age(obj, now),
        *_images(spec),
        selector_text(spec.get("selector")),
    ]


def _replica_set(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector") or {}
    if obj.get("kind") == "ReplicationController" or (
        "matchLabels" not in selector and "matchExpressions" not in selector
    ):
        shown = labels_text(selector)
    else:
        shown = selector_text(selector)
    return [
        _name(obj),
        spec.get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        short_age(obj, now),
        *_images(spec),
        shown,
    ]


def _stateful_set(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [_name(obj), ready, short_age(obj, now), *_images(spec)]


def _daemon_set(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    nodes = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector")
    return [
        _name(obj),
        status.get("desiredNumberScheduled", 0),
        status.get("currentNumberScheduled", 0),
        status.get("numberReady", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
        labels_text(nodes),
        short_age(obj, now),
        *_images(spec),
        selector_text(spec.get("selector")),
    ]


def _job(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    completions = spec.get("completions")
    done = status.get("succeeded", 0)
    shown = f"{done}/{completions}" if completions is not None else f"{done}/1"
    states = {c["type"] for c in status.get("conditions") or () if c.get("status") == "True"}
    state = next((s for s in ("Complete", "Failed", "Suspended") if s in states), "Running")
    if obj["metadata"].get("deletionTimestamp"):
        state = "Terminating"
    start, end = status.get("startTime"), status.get("completionTime")
    took = ""
    if start:
        from kobune.base.clock import parse_time

        took = duration(((parse_time(end) if end else now) - parse_time(start)).total_seconds())
    return [_name(obj), state, shown, took, short_age(obj, now), *_images(spec), selector_text(spec.get("selector"))]


def _cron_job(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    last = status.get("lastScheduleTime")
    return [
        _name(obj),
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        age(last, now) if last else NONE,
        short_age(obj, now),
        *_images((spec.get("jobTemplate") or {}).get("spec") or {}),
        NONE,
    ]


def _budget(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        _name(obj),
        "N/A" if low is None else str(low),
        "N/A" if high is None else str(high),
        status.get("disruptionsAllowed", 0),
        short_age(obj, now),
    ]


def _binding(obj: _Obj, now: datetime) -> list[Any]:
    role = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        name = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            name = f"{subject.get('namespace', '')}/{name}"
        subjects.setdefault(subject.get("kind", ""), []).append(name)
    shown = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [_name(obj), f"{role.get('kind')}/{role.get('name')}", short_age(obj, now), *shown]


def _lease(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", short_age(obj, now)]


def _network_policy(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), selector_text((obj.get("spec") or {}).get("podSelector")), short_age(obj, now)]


def _ingress(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    hosts = [r["host"] for r in spec.get("rules") or () if r.get("host")]
    more = f" + {len(hosts) - 3} more..." if len(hosts) > 3 else ""
    entries = (status.get("loadBalancer") or {}).get("ingress") or []
    addresses = ",".join(filter(None, (e.get("ip") or e.get("hostname") for e in entries)))
    return [
        _name(obj),
        spec.get("ingressClassName") or NONE,
        (",".join(hosts[:3]) + more) or "*",
        addresses,
        "80, 443" if spec.get("tls") else "80",
        short_age(obj, now),
    ]


def _ingress_class(obj: _Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    shown = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters.get('kind')}{group}/{parameters.get('name')}"
    return [_name(obj), spec.get("controller", ""), shown, short_age(obj, now)]


def _storage_class(obj: _Obj, now: datetime) -> list[Any]:
    annotations = obj["metadata"].get("annotations") or {}
    name = _name(obj)
    if annotations.get("storageclass.kubernetes.io/is-default-class") == "true":
        name += " (default)"
    expand = "true" if obj.get("allowVolumeExpansion") else "false"
    return [
        name,
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        expand,
        short_age(obj, now),
    ]


def _priority_class(obj: _Obj, now: datetime) -> list[Any]:
    default = "true" if obj.get("globalDefault") else "false"
    policy = obj.get("preemptionPolicy", "PreemptLowerPriority")
    return [_name(obj), obj.get("value", 0), default, short_age(obj, now), policy]


def _webhooks(obj: _Obj, now: datetime) -> list[Any]:
    return [_name(obj), len(obj.get("webhooks") or ()), short_age(obj, now)]


def _policy(obj: _Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion')}/{kind.get('kind')}" if kind else "<unset>"
    return [_name(obj), len(spec.get("validations") or ()), shown, short_age(obj, now)]


def _policy_binding(obj: _Obj, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    reference = spec.get("paramRef") or {}
    shown = "<unset>"
    if reference:
        space = reference.get("namespace")
        shown = f"{space}/{reference.get('name')}" if space else f"*/{reference.get('name')}"
    return [_name(obj), spec.get("policyName", ""), shown, short_age(obj, now)]


def _revision(obj: _Obj, now: datetime) -> list[Any]:
    owner = next((o for o in obj["metadata"].get("ownerReferences") or () if o.get("controller")), None)
    shown = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        shown = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
    return [_name(obj), shown, obj.get("revision", 0), short_age(obj, now)]


def _api_service(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    service = spec.get("service")
    where = f"{service.get('namespace')}/{service.get('name')}" if service else "Local"
    available = next((c for c in status.get("conditions") or () if c.get("type") == "Available"), None)
    shown = "Unknown"
    if available:
        shown = available["status"]
        if shown != "True":
            shown = f"{shown} ({available.get('reason', '')})"
    return [_name(obj), where, shown, short_age(obj, now)]


def _csr(obj: _Obj, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    states = [c["type"] for c in status.get("conditions") or ()]
    shown = ",".join(s for s in ("Denied", "Approved", "Failed") if s in states) or "Pending"
    if status.get("certificate"):
        shown += ",Issued"
    seconds = spec.get("expirationSeconds")
    return [
        _name(obj),
        short_age(obj, now),
        spec.get("signerName", ""),
        spec.get("username", ""),
        duration(seconds) if seconds else NONE,
        shown,
    ]


_WIDE = ("+Containers", "+Images", "+Selector")
_BINDING = ("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts")
_EVENT = ("Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+Count", "+Name")
_PLAIN_EVENT = tuple(c.replace("+Name", "+Name:name") for c in _EVENT)
BUILTIN: dict[str, tuple[tuple[str, ...], Row]] = {
    "Pod": (POD_COLUMNS, pod_row),
    "ConfigMap": (("Name", "Data", "Age"), _config_map),
    "Secret": (("Name", "Type", "Data", "Age"), _secret),
    "Service": (("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"), _service),
    "PersistentVolumeClaim": (
        (
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        _claim,
    ),
    "PersistentVolume": (
        (
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        _volume,
    ),
    "Node": (
        (
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ),
        _node,
    ),
    "Namespace": (("Name", "Status", "Age"), _namespace),
    "ServiceAccount": (("Name", "Secrets", "Age"), _service_account),
    "Endpoints": (("Name", "Endpoints", "Age"), _endpoints),
    "EndpointSlice": (("Name", "AddressType", "Ports", "Endpoints", "Age"), _slice),
    "Event": (_PLAIN_EVENT, _event),
    "ResourceQuota": (("Name", "Request", "Limit", "Age"), _quota),
    "Deployment": (("Name", "Ready", "Up-to-date", "Available", "Age", *_WIDE), _deployment),
    "ReplicaSet": (("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_WIDE), _replica_set),
    "ReplicationController": (
        ("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_WIDE),
        _replica_set,
    ),
    "StatefulSet": (("Name", "Ready", "Age", "+Containers", "+Images"), _stateful_set),
    "DaemonSet": (
        (
            "Name",
            "Desired:integer",
            "Current:integer",
            "Ready:integer",
            "Up-to-date:integer",
            "Available:integer",
            "Node Selector",
            "Age",
            *_WIDE,
        ),
        _daemon_set,
    ),
    "Job": (("Name", "Status", "Completions", "Duration", "Age", *_WIDE), _job),
    "CronJob": (
        ("Name", "Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule", "Age", *_WIDE),
        _cron_job,
    ),
    "PodDisruptionBudget": (
        ("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"),
        _budget,
    ),
    "RoleBinding": (_BINDING, _binding),
    "ClusterRoleBinding": (_BINDING, _binding),
    "Lease": (("Name", "Holder", "Age"), _lease),
    "NetworkPolicy": (("Name", "Pod-Selector", "Age"), _network_policy),
    "Ingress": (("Name", "Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "IngressClass": (("Name", "Controller", "Parameters", "Age"), _ingress_class),
    "StorageClass": (
        ("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        _storage_class,
    ),
    "PriorityClass": (("Name", "Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"), _priority_class),
    "MutatingWebhookConfiguration": (("Name", "Webhooks:integer", "Age"), _webhooks),
    "ValidatingWebhookConfiguration": (("Name", "Webhooks:integer", "Age"), _webhooks),
    "ValidatingAdmissionPolicy": (("Name", "Validations:integer", "ParamKind", "Age"), _policy),
    "ValidatingAdmissionPolicyBinding": (("Name", "PolicyName", "ParamRef", "Age"), _policy_binding),
    "ControllerRevision": (("Name", "Controller", "Revision:integer", "Age"), _revision),
    "APIService": (("Name", "Service", "Available", "Age"), _api_service),
    "CertificateSigningRequest": (
        ("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        _csr,
    ),
}
