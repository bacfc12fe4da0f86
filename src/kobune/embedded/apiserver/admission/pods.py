"""What pods get on admission: ServiceAccount and its token volume, priority, default tolerations.

Source: the visible effects of Kubernetes' ServiceAccount, Priority and DefaultTolerationSeconds admission plugins.
"""

import asyncio
import random
from typing import Any

from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden

__all__ = ["DefaultTolerations", "Priorities", "ServiceAccounts"]

_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_DEFAULT = "default"
_WAITS = 10
_WAIT_S = 0.15
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_TOKEN_LIFE_S = 3607
_SYSTEM_PRIORITIES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def _is_new_pod(call: Call, operation: str) -> bool:
    info = call.resource.info
    return operation == "CREATE" and info.plural == "pods" and not info.group and not call.info.subresource


class _PodStep:
    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Nothing beyond `mutate`."""


class ServiceAccounts(_PodStep):
    """Every pod has a ServiceAccount that exists, and its token mounted unless it says otherwise."""

    def __init__(self, storage: Storage) -> None:
        self._accounts = storage.collection("core/serviceaccounts")
        self._storage = storage

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        if obj is None or not _is_new_pod(call, operation):
            return
        if "kubernetes.io/config.mirror" in (obj["metadata"].get("annotations") or {}):
            return
        spec = obj["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        namespace = call.info.namespace
        item = await self._account(namespace, name)
        if item is None:
            raise forbidden(
                "",
                "pods",
                obj["metadata"].get("name", ""),
                f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found',
            )
        account = item.object()
        mount = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken", True))
        if mount:
            self._mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = account["imagePullSecrets"]

    async def _account(self, namespace: str, name: str) -> Item | None:
        """The account; that of a new namespace is made a moment after it, so it is waited for."""
        item = self._accounts.get(namespace, name)
        if item is None:
            await self._storage.log.settle()
            item = self._accounts.get(namespace, name)
        waits = _WAITS if name == _DEFAULT else 0
        while item is None and waits:
            waits -= 1
            await asyncio.sleep(_WAIT_S)
            item = self._accounts.get(namespace, name)
        return item

    @staticmethod
    def _mount_token(spec: dict[str, Any]) -> None:
        containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
        without = [
            container
            for container in containers
            if not any(mount.get("mountPath") == _MOUNT for mount in container.get("volumeMounts") or ())
        ]
        existing = next(
            (v["name"] for v in spec.get("volumes") or () if v.get("name", "").startswith("kube-api-access-")), None
        )
        name = existing or "kube-api-access-" + "".join(random.choices(_ALPHABET, k=5))  # noqa: S311 - a name
        for container in without:
            container.setdefault("volumeMounts", []).append({"name": name, "readOnly": True, "mountPath": _MOUNT})
        if not without or existing:
            return
        sources = [
            {"serviceAccountToken": {"expirationSeconds": _TOKEN_LIFE_S, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {
                "downwardAPI": {
                    "items": [
                        {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
                    ]
                }
            },
        ]
        volume = {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}
        spec.setdefault("volumes", []).append(volume)


class Priorities(_PodStep):
    """priorityClassName becomes a number; without one the global default, or 0."""

    def __init__(self, storage: Storage) -> None:
        self._classes = storage.collection("scheduling.k8s.io/priorityclasses")

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        if obj is None or not _is_new_pod(call, operation):
            return
        spec = obj["spec"]
        name = spec.get("priorityClassName") or ""
        found: dict[str, Any] | None = None
        if name:
            item = self._classes.get("", name)
            if item is None:
                raise forbidden(
                    "", "pods", obj["metadata"].get("name", ""), f"no PriorityClass with name {name} was found"
                )
            found = item.object()
        else:
            defaults = [o for o in (item.object() for item in self._classes.select()) if o.get("globalDefault")]
            found = min(defaults, key=lambda o: o.get("value", 0)) if defaults else None
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        value = found.get("value", 0) if found else 0
        policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        given = spec.get("priority")
        if given is not None and given != value:
            raise self._mismatch(obj, "integer value of priority", given, value)
        given_policy = spec.get("preemptionPolicy")
        if given_policy is not None and given_policy != policy:
            raise self._mismatch(obj, "string value of PreemptionPolicy", given_policy, policy)
        spec["priority"] = value
        spec["preemptionPolicy"] = policy

    @staticmethod
    def _mismatch(obj: dict[str, Any], what: str, given: Any, computed: Any) -> StatusError:
        if isinstance(given, int):
            detail = (
                f"the {what} ({given}) must not be provided in pod spec; priority admission controller computed"
                f" {computed} from the given PriorityClass name"
            )
        else:
            detail = (
                f"the {what} ({given}) must not be provided in pod spec; priority admission controller computed"
                f" {computed} from the given PriorityClass name"
            )
        return forbidden("", "pods", obj["metadata"].get("name", ""), detail)


class DefaultTolerations(_PodStep):
    """Pods stay five minutes on a node that is not ready or unreachable."""

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """See Step."""
        if obj is None or not _is_new_pod(call, operation):
            return
        tolerations = obj["spec"].setdefault("tolerations", [])
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
            if not any(
                t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "") for t in tolerations
            ):
                tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
