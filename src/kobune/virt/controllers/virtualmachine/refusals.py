"""What a machine says when its instance cannot be made as things are: a quota, or a rule about instances alone.

Source: KubeVirt's condition and events.
"""

from kobune.base.errors import TerminalError
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.runtime.decision import Action, Create, Decision, Event, EventType
from kobune.virt.controllers.conditions import set_condition
from kobune.virt.controllers.virtualmachine.decide import Observed, status_of, status_patch

__all__ = ["refused"]

FAILED_CREATE = "FailedCreate"


def refused(seen: Observed, action: Action, error: TerminalError) -> Decision[Action] | None:
    """The machine's status and a warning, when it was its instance that the API refused."""
    if not isinstance(action, Create) or action.resource != VIRTUAL_MACHINE_INSTANCES:
        return None
    status = status_of(seen, seen.vm.status.start_failure)
    message = f"Failure while starting VMI: {error}"
    set_condition(status, "Failure", "True", seen.now, reason=FAILED_CREATE, message=message)
    event = Event(EventType.WARNING, FAILED_CREATE, f"Error creating virtual machine instance: {error}")
    return Decision(status=status_patch(seen.vm, status), events=(event,))
