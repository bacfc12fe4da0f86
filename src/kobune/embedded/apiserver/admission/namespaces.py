"""NamespaceLifecycle: objects need their namespace, and one that does not end; some namespaces can't be deleted."""

from typing import Any

from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden, not_found

__all__ = ["NamespaceLifecycle"]

_IMMORTAL = ("default", "kube-system", "kube-public")


class NamespaceLifecycle:
    """Admission step."""

    def __init__(self, storage: Storage) -> None:
        self._namespaces = storage.collection("core/namespaces")

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Check early, before anything is filled in."""
        info = call.resource.info
        if operation == "DELETE":
            if info.plural == "namespaces" and not info.group and call.info.name in _IMMORTAL:
                raise forbidden("", "namespaces", call.info.name, "this namespace may not be deleted")
            return
        if operation != "CREATE" or not info.namespaced:
            return
        namespace = call.info.namespace
        item = self._namespaces.get("", namespace)
        if item is None:
            await call.services.storage.log.settle()
            item = self._namespaces.get("", namespace)
        if item is None:
            raise not_found("", "namespaces", namespace)
        if item.field("status.phase") == "Terminating":
            refusal = forbidden(
                info.group,
                info.plural,
                (obj or {}).get("metadata", {}).get("name", ""),
                f"unable to create new content in namespace {namespace} because it is being terminated",
            )
            raise StatusError(
                403,
                "Forbidden",
                refusal.message,
                {
                    **(refusal.details or {}),
                    "causes": [
                        {
                            "reason": "NamespaceTerminating",
                            "message": f"namespace {namespace} is being terminated",
                            "field": "metadata.namespace",
                        }
                    ],
                },
            )

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Nothing."""
