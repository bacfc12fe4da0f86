"""Channels: to the guest agent, and for the metrics of the host that a guest asks for."""

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import METRICS_SOCKET

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<channel>`; QEMU listens on their sockets."""
    channel = add(domain.devices, "channel", type="unix")
    add(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    if source.vmi.spec.domain.devices.downward_metrics is not None:
        metrics = add(domain.devices, "channel", type="unix")
        add(metrics, "source", mode="bind", path=METRICS_SOCKET)
        add(metrics, "target", type="virtio", name="org.github.vhostmd.1")
