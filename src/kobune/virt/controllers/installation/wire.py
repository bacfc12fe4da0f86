"""Observing the installation: virt-api is asked the way users reach it."""

from importlib.metadata import version
from typing import Final

from kobune.kube.client.errors import ApiError
from kobune.kube.client.kubevirt import KUBEVIRTS
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key
from kobune.kube.runtime import Action, Controller, ControllerProcess
from kobune.virt.controllers.installation.decide import Observed, decide

__all__ = ["wire"]

_HEALTH: Final = "/apis/subresources.kubevirt.io/v1/healthz"
_TIMEOUT_S: Final = 5.0


def wire(process: ControllerProcess) -> Controller[Observed, Action]:
    """Add the controller to the process."""
    installations = process.informers.of(KUBEVIRTS)
    release = f"v{version('kobune')}"

    async def observe(key: Key) -> Observed | None:
        installation = installations.get(key)
        if installation is None:
            return None
        return Observed(installation, release, await _failure(process.client), process.clock.now())

    return process.add(
        "kubevirt",
        primary=installations,
        observe=observe,
        decide=decide,
        execute=process.writer.execute,
        workers=1,
    )


async def _failure(client: Client) -> str:
    """Why virt-api does not answer, empty when it does."""
    try:
        await client.raw("GET", _HEALTH, timeout_s=_TIMEOUT_S)
    except ApiError as error:
        return str(error)
    return ""
