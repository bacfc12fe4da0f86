"""What is asked of a guest whose file systems are frozen: only what its agent still answers."""

import json

from kobune.host.guestagent.agent import GuestAgent
from kobune.virt.launcher.guest import GuestView, guest_info, look_inside
from kobune.virt.launcherproto.messages import FsFreezeStatus, GuestOs

ANSWERS = {
    "guest-info": {"version": "7.2.0", "supported_commands": [{"name": "guest-ping", "enabled": True}]},
    "guest-fsfreeze-status": "frozen",
}


async def frozen(command: str) -> str:
    """A KeyError is what no question may lead to."""
    return json.dumps({"return": ANSWERS[json.loads(command)["execute"]]})


async def test_a_frozen_guest_keeps_what_is_known_of_it() -> None:
    known = GuestView(agent_version="7.2.0", hostname="demo", os=GuestOs(id="demo"), fs_freeze=FsFreezeStatus.THAWED)
    seen = await look_inside(GuestAgent(frozen), known)
    assert seen == GuestView("7.2.0", "demo", GuestOs(id="demo"), (), FsFreezeStatus.FROZEN)
    assert await look_inside(GuestAgent(frozen)) == GuestView(agent_version="7.2.0", fs_freeze=FsFreezeStatus.FROZEN)


async def test_a_frozen_guest_tells_that_it_is_frozen() -> None:
    info = await guest_info(GuestAgent(frozen))
    assert (info.agent_version, info.supported_commands) == ("7.2.0", ["guest-ping"])
    assert info.fs_freeze is FsFreezeStatus.FROZEN
