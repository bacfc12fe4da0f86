"""For tests of anything above the client: an API in memory, a clock that obeys, and builders."""

from kobune.kube.testing.api import FakeApi, Request
from kobune.kube.testing.clock import FakeClock, settle
from kobune.kube.testing.faults import Fault
from kobune.kube.testing.waiting import eventually, eventually_true

__all__ = ["FakeApi", "FakeClock", "Fault", "Request", "eventually", "eventually_true", "settle"]
