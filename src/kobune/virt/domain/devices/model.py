"""Which flavour of virtio a device is."""

from kobune.virt.domain.document import DomainSource

__all__ = ["virtio_model"]


def virtio_model(source: DomainSource) -> str:
    """`virtio-non-transitional` (virtio 1.0 only), or transitional for old guests by `useVirtioTransitional`."""
    transitional = source.vmi.spec.domain.devices.use_virtio_transitional is True
    return "virtio-transitional" if transitional else "virtio-non-transitional"
