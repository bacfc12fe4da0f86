"""What a fresh server writes into its store: namespaces, roles, the front proxy's ConfigMap, priority classes.

Owns: objects that must exist before the first client comes. Existing ones are left as they are, but for roles, which
get the rules that an older version did not have (unless their autoupdate annotation is gone).
"""

import json
import uuid
from typing import Any

from kobune.embedded.apiserver.pki import Pki
from kobune.embedded.apiserver.rbac import bootstrap as rbac
from kobune.embedded.apiserver.rbac.node import NODES
from kobune.embedded.apiserver.rbac.rules import parse_rules, uncovered
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.store import RevisionConflict

__all__ = ["write_defaults"]

_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def write_defaults(storage: Storage, pki: Pki) -> None:
    """Write what is missing; a second start writes nothing."""
    waiting = []
    for resource, obj in _objects(pki):
        collection = storage.collection(resource)
        metadata = obj["metadata"]
        if collection.get(metadata.get("namespace", ""), metadata["name"]) is None:
            metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
            waiting.append(_put(storage, resource, obj))
    for write in waiting:
        await write
    for plural, obj in rbac.objects():
        if plural in ("roles", "clusterroles"):
            await _complete_role(storage, f"rbac.authorization.k8s.io/{plural}", obj)
    await _refresh_front_proxy(storage, pki)
    await _drop_node_grant(storage)


async def _put(storage: Storage, resource: str, obj: dict[str, Any]) -> None:
    try:
        await storage.put(storage.collection(resource), obj, 0)
    except RevisionConflict:
        return


def _objects(pki: Pki) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for name in NAMESPACES:
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        found.append(("core/namespaces", namespace))
    found.extend((f"rbac.authorization.k8s.io/{plural}", obj) for plural, obj in rbac.objects())
    for name, value, text in (
        ("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster."),
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their node.",
        ),
    ):
        priority = {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": text,
            "preemptionPolicy": "PreemptLowerPriority",
        }
        found.append(("scheduling.k8s.io/priorityclasses", priority))
    found.append(("core/configmaps", _front_proxy(pki)))
    return found


def _front_proxy(pki: Pki) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {
            "client-ca-file": pki.ca_pem.decode(),
            "requestheader-client-ca-file": pki.front_proxy_ca_file.read_text(),
            "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
            "requestheader-username-headers": json.dumps(["X-Remote-User"]),
            "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
            "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
        },
    }


async def _refresh_front_proxy(storage: Storage, pki: Pki) -> None:
    """Another PKI under an old store (a restored backup) must not leave stale authorities behind."""
    collection = storage.collection("core/configmaps")
    item = collection.get("kube-system", "extension-apiserver-authentication")
    wanted = _front_proxy(pki)["data"]
    if item is None:
        return
    obj = item.object()
    if obj.get("data") != wanted:
        obj["data"] = wanted
        try:
            await storage.put(collection, obj, item.revision)
        except RevisionConflict:
            return


async def _complete_role(storage: Storage, resource: str, wanted: dict[str, Any]) -> None:
    """Add to a stored role what it should grant and does not."""
    collection = storage.collection(resource)
    metadata = wanted["metadata"]
    item = collection.get(metadata.get("namespace", ""), metadata["name"])
    if item is None or "aggregationRule" in wanted:
        return
    obj = item.object()
    if (obj["metadata"].get("annotations") or {}).get(_AUTOUPDATE) != "true":
        return
    missing = uncovered(parse_rules(obj.get("rules")), parse_rules(wanted["rules"]))
    if missing:
        obj["rules"] = [*(obj.get("rules") or ()), *(rule.wire() for rule in missing)]
        try:
            await storage.put(collection, obj, item.revision)
        except RevisionConflict:
            return


async def _drop_node_grant(storage: Storage) -> None:
    """Stores of before the node authorizer bind every node to the whole of system:node."""
    collection = storage.collection("rbac.authorization.k8s.io/clusterrolebindings")
    item = collection.get("", "system:node")
    if item is None:
        return
    obj = item.object()
    subjects = obj.get("subjects") or []
    kept = [subject for subject in subjects if (subject.get("kind"), subject.get("name")) != ("Group", NODES)]
    if len(kept) < len(subjects):
        obj.pop("subjects")
        if kept:
            obj["subjects"] = kept
        try:
            await storage.put(collection, obj, item.revision)
        except RevisionConflict:
            return
