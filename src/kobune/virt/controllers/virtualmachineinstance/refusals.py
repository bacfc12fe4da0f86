"""What an instance says when its launcher pod cannot be made as things are: a quota, or a policy for pods.

Source: KubeVirt's condition and event.
"""

from kobune.base.errors import TerminalError
from kobune.kube.client.core import PODS
from kobune.kube.runtime.decision import Action, Create, Decision, Event, EventType
from kobune.virt.controllers.conditions import enter_phase, set_condition
from kobune.virt.controllers.virtualmachineinstance.decide import Observed, status_of, status_patch
from kobune.virt.controllers.virtualmachineinstance.podview import POD_REFUSED, pod_missing

__all__ = ["refused"]


def refused(seen: Observed, action: Action, error: TerminalError) -> Decision[Action] | None:
    """The instance's status and a warning, when it was its pod that the API refused."""
    if not isinstance(action, Create) or action.resource != PODS:
        return None
    status = status_of(seen.vmi)
    message = f"failed to create virtual machine pod: {error}"
    enter_phase(status, "Pending", seen.now)
    set_condition(status, "Synchronized", "False", seen.now, reason=POD_REFUSED, message=message)
    pod_missing(status, seen.now)
    event = Event(EventType.WARNING, POD_REFUSED, f"Error creating pod: {error}")
    return Decision(status=status_patch(seen.vmi, status), events=(event,))
