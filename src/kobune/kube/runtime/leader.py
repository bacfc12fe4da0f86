"""Leader election by a Lease, so that one of several replicas works.

Owns: acquiring, renewing and releasing one Lease. Times are Kubernetes' usual ones: a lease of 15 s, renewed every 2 s,
given up when it could not be renewed for 10 s. Source: coordination.k8s.io/v1 LeaseSpec.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from kobune.base.clock import Clock, format_micro_time, parse_time
from kobune.base.errors import RetryableError
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.errors import AlreadyExists, ApiError, NotFound
from kobune.kube.client.objects import resource_version_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.types import Patch

__all__ = ["LeaderElection", "LeadershipLost"]

log = logging.getLogger(__name__)

_LEASES: Final[Resource[dict[str, Any]]] = Resource("coordination.k8s.io", "v1", "leases", "Lease", True, dict)


class LeadershipLost(RetryableError):
    """The lease could not be renewed in time: another replica may work, so we must not."""


class LeaderElection:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        lease: Key,
        identity: str,
        *,
        lease_duration_s: float = 15.0,
        renew_deadline_s: float = 10.0,
        retry_s: float = 2.0,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._lease = lease
        self._identity = identity
        self._lease_duration_s = lease_duration_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_s = retry_s
        self._clock = clock or SystemClock()
        # What was last seen of another holder, and when by our own clock: their clock is not trusted.
        self._seen: tuple[str, float] | None = None

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Wait for leadership, run `body` while it lasts, release it afterwards.

        Raises LeadershipLost (with `body` cancelled) when it could not be kept.
        """
        while not await self._try():
            await self._clock.sleep(self._retry_s)
        log.info("%s is the leader of %s", self._identity, self._lease)
        work = asyncio.ensure_future(body())
        keep = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait([work, keep], return_when=asyncio.FIRST_COMPLETED)
            if keep.done() and not work.done():
                raise LeadershipLost(f"lease {self._lease} was not renewed within {self._renew_deadline_s} s")
            await work
        finally:
            for task in (work, keep):
                task.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)
            await self._release()

    async def _keep(self) -> None:
        """Renew until that failed for too long."""
        renewed_s = self._clock.monotonic_s()
        while self._clock.monotonic_s() - renewed_s < self._renew_deadline_s:
            await self._clock.sleep(self._retry_s)
            if await self._try():
                renewed_s = self._clock.monotonic_s()

    async def _try(self) -> bool:
        """Acquire or renew; False when somebody else holds it or the API failed."""
        try:
            return await self._acquire()
        except ApiError as error:
            log.debug("lease %s: %s", self._lease, error)
            return False

    async def _acquire(self) -> bool:
        now = format_micro_time(self._clock.now())
        wanted: dict[str, Any] = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._lease_duration_s),
            "renewTime": now,
        }
        try:
            lease = await self._client.get(_LEASES, self._lease.name, self._lease.namespace)
        except NotFound:
            metadata = {"name": self._lease.name, "namespace": self._lease.namespace}
            spec = wanted | {"acquireTime": now, "leaseTransitions": 0}
            try:
                await self._client.create(_LEASES, {"metadata": metadata, "spec": spec}, self._lease.namespace)
            except AlreadyExists:
                return False
            return True
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder != self._identity:
            if holder and not self._is_expired(spec):
                return False
            wanted |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        body = {"metadata": {"resourceVersion": resource_version_of(lease)}, "spec": wanted}
        await self._client.patch(_LEASES, self._lease.name, Patch.merge(body), self._lease.namespace)
        return True

    def _is_expired(self, spec: dict[str, Any]) -> bool:
        """Whether the holder has not renewed for its lease duration, by what we saw ourselves."""
        renewed = str(spec.get("renewTime") or "")
        moment_s = self._clock.monotonic_s()
        if self._seen is None or self._seen[0] != renewed:
            self._seen = (renewed, moment_s)
            # A lease that is long past by the wall clock needs no second look.
            duration = timedelta(seconds=float(spec.get("leaseDurationSeconds") or self._lease_duration_s))
            return not renewed or parse_time(renewed) + 4 * duration < self._clock.now()
        return moment_s - self._seen[1] > float(spec.get("leaseDurationSeconds") or self._lease_duration_s)

    async def _release(self) -> None:
        """Let the next one start at once; only when we still hold it."""
        try:
            async with asyncio.timeout(self._retry_s):
                lease = await self._client.get(_LEASES, self._lease.name, self._lease.namespace)
                if (lease.get("spec") or {}).get("holderIdentity") != self._identity:
                    return
                spec = {"holderIdentity": "", "leaseDurationSeconds": 1}
                body = {"metadata": {"resourceVersion": resource_version_of(lease)}, "spec": spec}
                await self._client.patch(_LEASES, self._lease.name, Patch.merge(body), self._lease.namespace)
        except (ApiError, TimeoutError) as error:
            log.debug("lease %s not released: %s", self._lease, error)
