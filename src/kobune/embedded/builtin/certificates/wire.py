"""Wires the signing of certificate requests."""

from dataclasses import dataclass
from pathlib import Path

from kobune.base.clock import Clock
from kobune.embedded.builtin.certificates.decide import (
    REQUESTS,
    CertificateSigningRequest,
    Observed,
    decide,
    problem,
    wants_signature,
)
from kobune.embedded.builtin.certificates.sign import RequestUnreadable, Signer, expires
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one request; signs what is to be signed. Without a signer requests are only cleaned up."""

    requests: Informer[CertificateSigningRequest]
    signer: Signer | None
    clock: Clock

    async def __call__(self, key: Key) -> Observed | None:
        """None once the request is gone."""
        request = self.requests.get(key)
        if request is None:
            return None
        now = self.clock.now()
        if request.status.certificate:
            return Observed(request, now, expires=expires(request.status.certificate))
        if self.signer is None or not wants_signature(request):
            return Observed(request, now)
        try:
            failure = problem(request.spec, self.signer.subject(request.spec))
            certificate = "" if failure else self.signer.sign(request.spec, now)
        except RequestUnreadable as error:
            return Observed(request, now, failure=str(error))
        return Observed(request, now, certificate, failure)


def add_to(process: ControllerProcess, authority: Path | None) -> None:
    """Add the controller to a process; `authority` is the directory of the key to sign with."""
    requests = process.informers.of(REQUESTS)
    signer = Signer(authority) if authority is not None else None
    process.add(
        "certificates",
        primary=requests,
        observe=Observe(requests, signer, process.clock),
        decide=decide,
        execute=process.writer.execute,
        workers=1,
    )
