"""The channel to the guest agent."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<channel>`; libvirt makes and listens on its socket."""
    channel = add(domain.devices, "channel", type="unix")
    add(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
