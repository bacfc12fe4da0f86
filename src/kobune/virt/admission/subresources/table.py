"""The verbs of machines and instances: method, path, and whether discovery lists them."""

from dataclasses import dataclass
from typing import Final

__all__ = ["INSTANCE_VERBS", "MACHINE_VERBS", "Verb"]


@dataclass(frozen=True, slots=True)
class Verb:
    """One subresource; `path` may have more than one part."""

    path: str
    method: str = "PUT"
    listed: bool = True


MACHINE_VERBS: Final = (
    Verb("start"),
    Verb("stop"),
    Verb("restart"),
    Verb("migrate"),
    Verb("evacuate/cancel"),
    Verb("expand-spec", "GET"),
    Verb("objectgraph", "GET"),
    Verb("addvolume", listed=False),
    Verb("removevolume", listed=False),
    Verb("memorydump", listed=False),
    Verb("removememorydump", listed=False),
    Verb("portforward", "GET", listed=False),
)

INSTANCE_VERBS: Final = (
    Verb("console", "GET"),
    Verb("vnc", "GET"),
    Verb("vnc/screenshot", "GET"),
    Verb("portforward", "GET"),
    Verb("usbredir", "GET", listed=False),
    Verb("guestosinfo", "GET"),
    Verb("userlist", "GET"),
    Verb("filesystemlist", "GET"),
    Verb("objectgraph", "GET"),
    Verb("pause"),
    Verb("unpause"),
    Verb("softreboot"),
    Verb("reset"),
    Verb("freeze"),
    Verb("unfreeze"),
    Verb("addvolume"),
    Verb("removevolume"),
    Verb("backup"),
    Verb("redefine-checkpoint"),
    Verb("evacuate/cancel"),
    Verb("sev/fetchcertchain", "GET"),
    Verb("sev/querylaunchmeasurement", "GET"),
    Verb("sev/setupsession"),
    Verb("sev/injectlaunchsecret"),
)
