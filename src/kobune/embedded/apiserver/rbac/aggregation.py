"""ClusterRoles with an aggregationRule get their rules from the roles they select."""

import asyncio
import logging

from kobune.embedded.apiserver.rbac.escalation import aggregated_rules
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.store import RevisionConflict

__all__ = ["RoleAggregation"]

log = logging.getLogger(__name__)


class RoleAggregation:
    """Follows ClusterRoles."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._collection = storage.collection("rbac.authorization.k8s.io/clusterroles")
        self._wake = asyncio.Event()
        self._wake.set()
        self._collection.listen(lambda _: self._wake.set())

    async def run(self) -> None:
        """Bring aggregated rules up to date after every change, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._update()
            except RevisionConflict:
                await self._storage.log.settle()
                self._wake.set()
            except Exception:
                log.exception("aggregated roles")

    async def _update(self) -> None:
        items = list(self._collection.select())
        roles = [item.object() for item in items]
        for item, role in zip(items, roles, strict=True):
            if not role.get("aggregationRule"):
                continue
            rules = aggregated_rules(role, roles)
            if (role.get("rules") or []) != rules:
                role["rules"] = rules or None
                await self._storage.put(self._collection, role, item.revision)
