"""Quality of service classes. Pure. Source: core/v1 PodStatus.qosClass."""

from kobune.api.core import Pod
from kobune.base.quantity import parse_quantity

__all__ = ["BEST_EFFORT", "GUARANTEED", "qos_class"]

GUARANTEED = "Guaranteed"
BURSTABLE = "Burstable"
BEST_EFFORT = "BestEffort"
_COUNTED = ("cpu", "memory")


def qos_class(pod: Pod) -> str:
    """Guaranteed when every container's limits equal its requests; BestEffort when nothing is asked for."""
    containers = [*pod.spec.init_containers, *pod.spec.containers]
    asked = False
    guaranteed = True
    for container in containers:
        limits = {name: parse_quantity(value) for name, value in container.resources.limits.items()}
        requests = {name: parse_quantity(value) for name, value in container.resources.requests.items()}
        asked = asked or any(limits.get(name) or requests.get(name) for name in _COUNTED)
        for name in _COUNTED:
            if not limits.get(name) or requests.get(name, limits[name]) != limits[name]:
                guaranteed = False
    if not asked:
        return BEST_EFFORT
    return GUARANTEED if guaranteed and containers else BURSTABLE
