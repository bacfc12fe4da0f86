"""Leader election: one at a time, taken over when the holder is silent, given up when it cannot be kept."""

import asyncio

import pytest

from kobune.kube.client.core import LEASES
from kobune.kube.client.errors import Unavailable
from kobune.kube.client.resource import Key
from kobune.kube.runtime import LeaderElection, LeadershipLost
from kobune.kube.testing import FakeApi, FakeClock, Fault, settle

LEASE = Key("kobune", "virt-controller")


class Candidate:
    def __init__(self, api: FakeApi, clock: FakeClock, name: str) -> None:
        self._working = False
        self.election = LeaderElection(api, LEASE, name, clock=clock)
        self.task = asyncio.create_task(self.election.run(self.work))

    async def work(self) -> None:
        self._working = True
        try:
            await asyncio.Event().wait()
        finally:
            self._working = False

    def works(self) -> bool:
        return self._working

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeApi:
    return FakeApi(clock=clock)


def holder(api: FakeApi) -> str | None:
    lease = api.peek(LEASES, LEASE)
    return lease.spec.holder_identity if lease else None


async def test_one_works_and_the_next_follows_a_clean_end(api: FakeApi, clock: FakeClock) -> None:
    first = Candidate(api, clock, "first")
    await settle()
    second = Candidate(api, clock, "second")
    await clock.advance(60)
    assert (first.works(), second.works(), holder(api)) == (True, False, "first")
    await first.stop()
    await clock.advance(3)
    assert (second.works(), holder(api)) == (True, "second")
    await second.stop()
    assert holder(api) == ""


async def test_a_silent_holder_is_followed_after_its_lease(api: FakeApi, clock: FakeClock) -> None:
    spec = {"holderIdentity": "dead", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    api.seed(LEASES, {"metadata": {"name": LEASE.name, "namespace": LEASE.namespace}, "spec": spec})
    second = Candidate(api, clock, "second")
    await clock.advance(14)
    assert not second.works()
    await clock.advance(4)
    assert second.works()
    lease = api.peek(LEASES, LEASE)
    assert lease is not None
    assert lease.spec.lease_transitions == 1
    await second.stop()


async def test_who_cannot_renew_stops_working(api: FakeApi, clock: FakeClock) -> None:
    first = Candidate(api, clock, "first")
    await clock.advance(1)
    assert first.works()
    api.faults.add(Fault("*", "leases", Unavailable(0, "ConnectionFailed", "gone"), times=1000))
    await clock.advance(14)
    assert not first.works()
    with pytest.raises(LeadershipLost):
        await first.task
