"""Announces this node: that virtual machines may be placed here, since when we were last alive, and our address.

Names: label kubevirt.io/schedulable and annotation kubevirt.io/heartbeat (KubeVirt's), annotation
kobune.io/virt-handler-address (ADR 0001).
"""

import asyncio
import logging
from typing import Any, Final

from kobune.base.clock import Clock, format_time
from kobune.kube.client.core import NODES
from kobune.kube.client.errors import ApiError, NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.types import Patch

__all__ = ["ADDRESS_ANNOTATION", "heartbeat", "node_patch"]

log = logging.getLogger(__name__)

ADDRESS_ANNOTATION: Final = "kobune.io/virt-handler-address"
INTERVAL_S: Final = 60.0
RETRY_S: Final = 0.5


def node_patch(address: str, now: str) -> dict[str, Any]:
    """The merge patch of one beat."""
    return {
        "metadata": {
            "labels": {"kubevirt.io/schedulable": "true"},
            "annotations": {"kubevirt.io/heartbeat": now, ADDRESS_ANNOTATION: address},
        }
    }


async def heartbeat(client: Client, node: str, address: str, clock: Clock) -> None:
    """Beat until cancelled; a node that is not registered yet is waited for."""
    waiting = False
    while True:
        delay_s = INTERVAL_S
        try:
            await client.patch(NODES, node, Patch.merge(node_patch(address, format_time(clock.now()))))
            if waiting:
                log.info("node %s is registered", node)
            waiting = False
        except NotFound:
            if not waiting:
                log.info("node %s is not registered yet", node)
            waiting, delay_s = True, RETRY_S
        except ApiError as error:
            log.warning("heartbeat of node %s: %s", node, error)
            delay_s = RETRY_S * 10
        await asyncio.sleep(delay_s)
