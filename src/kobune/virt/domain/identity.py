"""Name, UUID, owner and what happens at the domain's end."""

from uuid import UUID

from kobune.virt.domain.document import KOBUNE_NAMESPACE, Domain, DomainSource, InvalidSpec, add

__all__ = ["configure", "domain_name", "domain_uuid"]


def domain_name(namespace: str, name: str) -> str:
    """The domain's name; `_` cannot be part of either, so that it is unique."""
    return f"{namespace}_{name}"


def domain_uuid(source: DomainSource) -> str:
    """`spec.domain.firmware.uuid`, or the VMI's own uid."""
    firmware = source.vmi.spec.domain.firmware
    wanted = firmware.uuid if firmware is not None and firmware.uuid else source.vmi.metadata.uid
    try:
        return str(UUID(wanted))
    except ValueError as error:
        raise InvalidSpec("spec.domain.firmware.uuid", f"{wanted!r} is not a UUID") from error


def configure(source: DomainSource, domain: Domain) -> None:
    """`<name>`, `<uuid>`, `<metadata>`, `<on_poweroff>` and its siblings."""
    metadata = source.vmi.metadata
    domain.root.set("type", "kvm" if source.facts.kvm else "qemu")
    domain.top("name", domain_name(metadata.namespace, metadata.name))
    domain.top("uuid", domain_uuid(source))
    owner = add(domain.section("metadata"), f"{{{KOBUNE_NAMESPACE}}}vmi")
    owner.set("uid", metadata.uid)
    owner.set("namespace", metadata.namespace)
    owner.set("name", metadata.name)
    domain.top("on_poweroff", "destroy")
    # RebootPolicy Terminate ends the pod at a reboot, so that changes of the spec take effect.
    terminate = source.vmi.spec.domain.reboot_policy == "Terminate"
    domain.top("on_reboot", "destroy" if terminate else "restart")
    domain.top("on_crash", "preserve" if source.vmi.spec.domain.devices.panic_devices else "destroy")
