"""What is accepted with a warning: fields that do nothing, hide each other or are deprecated.

Owns: Kubernetes' warnings about pods, pod templates, Services, volumes and names, in the real server's words.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

from kobune.embedded.apiserver.schema.names import is_dns1123_label
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.validation.pod_warnings import pod

__all__ = ["warnings"]

Object = dict[str, Any]

_TEMPLATES = {
    ("apps", "Deployment"): "spec.template",
    ("apps", "DaemonSet"): "spec.template",
    ("apps", "ReplicaSet"): "spec.template",
    ("apps", "StatefulSet"): "spec.template",
    ("", "ReplicationController"): "spec.template",
    ("", "PodTemplate"): "template",
    ("batch", "Job"): "spec.template",
    ("batch", "CronJob"): "spec.jobTemplate.spec.template",
}
_NAMES_PODS = ("Deployment", "ReplicaSet", "ReplicationController", "Job", "CronJob")
_CLASS = "volume.beta.kubernetes.io/storage-class"
_MOUNTS = "volume.beta.kubernetes.io/mount-options"
_HINTS = "service.kubernetes.io/topology-aware-hints"
_INGRESS = "kubernetes.io/ingress.class"
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"


def warnings(info: ResourceInfo, obj: Object, old: Object | None) -> list[str]:
    """Of a created (`old` is None) or updated object of a built-in kind."""
    if info.custom:
        return []
    return list(_warnings((info.group, info.kind), obj, old))


def _warnings(kind: tuple[str, str], obj: Object, old: Object | None) -> Iterator[str]:
    annotations = obj["metadata"].get("annotations") or {}
    if old is None:
        yield from _name(kind, obj["metadata"].get("name", ""))
    template = _TEMPLATES.get(kind)
    if template is not None and (old is None or obj.get("spec") != old.get("spec")):
        found: Any = obj
        for part in template.split("."):
            found = found.get(part) or {}
        yield from pod(found, f"{template}.")
    match kind:
        case ("", "Pod"):
            yield from pod(obj, "")
        case ("", "Service"):
            yield from _service(obj.get("spec") or {}, annotations)
        case ("", "PersistentVolume" | "PersistentVolumeClaim"):
            yield from _volume(obj.get("spec") or {}, annotations)
        case ("networking.k8s.io", "Ingress"):
            if old is None and _INGRESS in annotations:
                yield f"annotation \"{_INGRESS}\" is deprecated, please use 'spec.ingressClassName' instead"
        case ("discovery.k8s.io", "EndpointSlice"):
            if obj.get("addressType") == "FQDN":
                yield "spec.addressType: FQDN endpoints are deprecated"
        case ("", "ServiceAccount"):
            if _MOUNTABLE in annotations:
                yield (
                    f"metadata.annotations[{_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate"
                    " access to mounted secrets"
                )


def _name(kind: tuple[str, str], name: str) -> Iterator[str]:
    wrong = is_dns1123_label(name)
    if not wrong:
        return
    told = "which can result in surprising behavior; a DNS label is recommended: [" + " ".join(wrong) + "]"
    if kind == ("", "Pod"):
        yield f"metadata.name: this is used in the Pod's hostname, {told}"
    elif kind in _TEMPLATES and kind[1] in _NAMES_PODS:
        yield f"metadata.name: this is used in Pod names and hostnames, {told}"


def _service(spec: Object, annotations: Object) -> Iterator[str]:
    if _HINTS in annotations:
        yield f"annotation {_HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"
    if spec.get("clusterIP") not in (None, "", "None"):
        for i, address in enumerate(spec.get("clusterIPs") or ()):
            yield from _address(address, f"spec.clusterIPs[{i}]")
    for i, address in enumerate(spec.get("externalIPs") or ()):
        yield from _address(address, f"spec.externalIPs[{i}]")
    if spec.get("loadBalancerIP"):
        yield from _address(spec["loadBalancerIP"], "spec.loadBalancerIP")
    external = spec.get("type") == "ExternalName"
    if external and spec.get("externalIPs"):
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if not external and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("clusterIP") == "None":
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if spec.get("externalIPs"):
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity", "None") != "None":
            yield "spec.SessionAffinity is ignored for headless services"


def _address(text: str, path: str) -> Iterator[str]:
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return
    if parsed.version == 6 and str(parsed) != text:
        yield f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{parsed}")'


def _volume(spec: Object, annotations: Object) -> Iterator[str]:
    if _CLASS in annotations:
        yield f'metadata.annotations[{_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead'
    if _MOUNTS in annotations:
        yield f'metadata.annotations[{_MOUNTS}]: deprecated since v1.31; use "mountOptions" attribute instead'
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended"
            " approach is to use dynamic provisioning."
        )
    for field, told in (
        ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ):
        if spec.get(field):
            yield f"spec.{field}: {told}"
