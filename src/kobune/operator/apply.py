"""Writes manifests into a cluster.

Idempotent: each object carries a hash of its manifest, and what is there with the same hash is not written again.
"""

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Iterable
from typing import Any, Final

from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource

__all__ = ["FIELD_MANAGER", "Manifest", "apply", "resource_of", "together"]

FIELD_MANAGER: Final = "kobune-operator"
HASH_ANNOTATION: Final = "kobune.io/manifest-hash"
PARALLEL: Final = 8

Manifest = dict[str, Any]

_PLURALS: Final = {
    "Namespace": ("", "v1", "namespaces", False),
    "ServiceAccount": ("", "v1", "serviceaccounts", True),
    "Secret": ("", "v1", "secrets", True),
    "Service": ("", "v1", "services", True),
    "ClusterRole": ("rbac.authorization.k8s.io", "v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", False),
    "Role": ("rbac.authorization.k8s.io", "v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io", "v1", "rolebindings", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io", "v1", "customresourcedefinitions", False),
    "MutatingWebhookConfiguration": (
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        False,
    ),
    "ValidatingWebhookConfiguration": (
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        False,
    ),
    "ValidatingAdmissionPolicy": ("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", False),
    "ValidatingAdmissionPolicyBinding": (
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
        False,
    ),
    "APIService": ("apiregistration.k8s.io", "v1", "apiservices", False),
    "KubeVirt": ("kubevirt.io", "v1", "kubevirts", True),
    "Deployment": ("apps", "v1", "deployments", True),
    "DaemonSet": ("apps", "v1", "daemonsets", True),
    "VirtualMachineClusterInstancetype": (
        "instancetype.kubevirt.io",
        "v1beta1",
        "virtualmachineclusterinstancetypes",
        False,
    ),
    "VirtualMachineClusterPreference": (
        "instancetype.kubevirt.io",
        "v1beta1",
        "virtualmachineclusterpreferences",
        False,
    ),
}


async def apply(client: Client, manifests: Iterable[Manifest]) -> None:
    """Make all of them exist as they are. Raises `ApiError` of the first that is refused, once all were tried."""
    limit = asyncio.Semaphore(PARALLEL)

    async def one(manifest: Manifest) -> None:
        async with limit:
            await _apply_one(client, manifest)

    await together(one(manifest) for manifest in manifests)


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; the first failure is raised as it is, once everything has ended."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _apply_one(client: Client, manifest: Manifest) -> None:
    resource = resource_of(manifest["kind"])
    metadata = manifest["metadata"]
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:32]
    namespace = metadata.get("namespace", "")
    try:
        found = await client.get(resource, metadata["name"], namespace)
    except NotFound:
        pass
    else:
        if (found["metadata"].get("annotations") or {}).get(HASH_ANNOTATION) == digest:
            return
    annotated = {**metadata, "annotations": {**metadata.get("annotations", {}), HASH_ANNOTATION: digest}}
    await client.apply(
        resource, {**manifest, "metadata": annotated}, namespace, field_manager=FIELD_MANAGER, force=True
    )


def resource_of(kind: str) -> Resource[dict[str, Any]]:
    """Where objects of `kind` are."""
    group, version, plural, namespaced = _PLURALS[kind]
    return Resource(group, version, plural, kind, namespaced, dict)
