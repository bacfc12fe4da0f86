"""From a VMI, facts and disk sources to the domain XML: all modules in their order."""

from kobune.virt.domain import clock, cpu, cputune, features, identity, iothreads, machine, memory
from kobune.virt.domain.devices import (
    balloon,
    channel,
    controller,
    disk,
    filesystem,
    graphics,
    input_device,
    interface,
    panic,
    rng,
    serial,
    sound,
    tpm,
    vsock,
    watchdog,
)
from kobune.virt.domain.document import Configure, Domain, DomainSource

__all__ = ["render_domain"]

_PARTS: tuple[Configure, ...] = (
    identity.configure,
    memory.configure,
    cpu.configure,
    cputune.configure,
    iothreads.configure,
    machine.configure,
    features.configure,
    clock.configure,
    controller.configure,
    disk.configure,
    filesystem.configure,
    interface.configure,
    serial.configure,
    channel.configure,
    graphics.configure,
    input_device.configure,
    sound.configure,
    watchdog.configure,
    rng.configure,
    tpm.configure,
    panic.configure,
    vsock.configure,
    balloon.configure,
)


def render_domain(source: DomainSource) -> str:
    """The domain XML. The same source gives the same text.

    Raises InvalidSpec with the field at fault.
    """
    domain = Domain()
    for configure in _PARTS:
        configure(source, domain)
    return domain.render()
