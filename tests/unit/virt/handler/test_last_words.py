"""What is told of a guest whose launcher has ended without a word to the node."""

from typing import Any

import msgspec
import pytest

from kobune.api.core import Pod
from kobune.virt.handler.instance.observe import launcher_pod


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ({"exitCode": 1, "message": "QEMU said no"}, "QEMU said no"),
        ({"exitCode": 137, "message": "libvirt version: 9"}, "killed from outside (signal 9)"),
        ({"exitCode": 137, "reason": "OOMKilled", "message": "libvirt version: 9"}, "ran out of the memory"),
        ({"exitCode": 0, "message": ""}, "Evicted"),
    ],
)
def test_a_launcher_that_was_killed_has_said_nothing_about_it(ended: dict[str, Any], told: str) -> None:
    status = {"message": "Evicted", "containerStatuses": [{"name": "compute", "state": {"terminated": ended}}]}
    pod = msgspec.convert({"metadata": {"name": "p", "uid": "u"}, "status": status}, Pod)
    found = launcher_pod(pod)
    assert found.exit_code == ended["exitCode"]
    assert told in found.message
