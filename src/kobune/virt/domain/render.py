"""From a VMI, facts and disk sources to the domain XML: all modules in their order."""

from kobune.virt.domain import acpi, clock, cpu, cputune, features, identity, iothreads, machine, memory, numa
from kobune.virt.domain.devices import (
    balloon,
    channel,
    controller,
    disk,
    filesystem,
    graphics,
    host_device,
    input_device,
    interface,
    panic,
    redirection,
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
    numa.configure,
    iothreads.configure,
    machine.configure,
    acpi.configure,
    features.configure,
    clock.configure,
    controller.configure,
    disk.configure,
    filesystem.configure,
    interface.configure,
    serial.configure,
    channel.configure,
    graphics.configure,
    host_device.configure,
    input_device.configure,
    sound.configure,
    watchdog.configure,
    rng.configure,
    tpm.configure,
    panic.configure,
    redirection.configure,
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
