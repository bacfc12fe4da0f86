"""Hypervisor features: ACPI, APIC, Hyper-V enlightenments, KVM hiding, SMM, and QEMU's translation buffer."""

from kobune.api.kubevirt.devices import FeatureState
from kobune.api.kubevirt.features import (
    FeatureHyperv,
    Features,
)
from kobune.virt.domain.document import Domain, DomainSource, Element, add
from kobune.virt.domain.memory import guest_memory_bytes

__all__ = ["configure", "tcg_buffer_mib"]

_MIB = 1024 * 1024
_TCG_BUFFERS_MIB = ((512, 64), (192, 32))
"""Size of the buffer for translated code, by the guest memory from which on it is given."""
_SMALLEST_TCG_BUFFER_MIB = 24

_SIMPLE_HYPERV = (
    ("relaxed", "relaxed"),
    ("vapic", "vapic"),
    ("vpindex", "vpindex"),
    ("runtime", "runtime"),
    ("synic", "synic"),
    ("reset", "reset"),
    ("frequencies", "frequencies"),
    ("reenlightenment", "reenlightenment"),
    ("ipi", "ipi"),
    ("evmcs", "evmcs"),
)


def configure(source: DomainSource, domain: Domain) -> None:
    """`<features>`."""
    spec = source.vmi.spec.domain
    wanted = spec.features or Features()
    section = domain.section("features")
    if wanted.acpi is None or wanted.acpi.enabled is not False:
        add(section, "acpi")
    if wanted.apic is None or wanted.apic.enabled is not False:
        eoi = wanted.apic.end_of_interrupt if wanted.apic is not None else None
        add(section, "apic", eoi=None if eoi is None else _on(eoi))
    secure = (
        spec.firmware is not None
        and spec.firmware.bootloader is not None
        and spec.firmware.bootloader.efi is not None
        and spec.firmware.bootloader.efi.secure_boot is not False
    )
    if secure or _enabled(wanted.smm):
        # Secure boot keeps its variables safe from the operating system by system management mode.
        add(section, "smm", state="on")
    elif wanted.smm is not None:
        add(section, "smm", state="off")
    if wanted.pvspinlock is not None:
        add(section, "pvspinlock", state=_on(_enabled(wanted.pvspinlock)))
    _kvm(source, wanted, section)
    if spec.cpu is not None and spec.cpu.realtime is not None:
        # Counters of the processor interrupt the guest.
        add(section, "pmu", state="off")
    if source.facts.kvm:
        if wanted.hyperv_passthrough is not None and wanted.hyperv_passthrough.enabled:
            add(section, "hyperv", mode="passthrough")
        elif wanted.hyperv is not None:
            _hyperv(wanted.hyperv, add(section, "hyperv"))
    else:
        size_mib = tcg_buffer_mib(guest_memory_bytes(spec))
        add(add(section, "tcg"), "tb-cache", str(size_mib), unit="MiB")


def _kvm(source: DomainSource, wanted: Features, section: Element) -> None:
    hidden = wanted.kvm.hidden if wanted.kvm is not None else None
    cpu = source.vmi.spec.domain.cpu
    dedicated = source.facts.kvm and cpu is not None and cpu.dedicated_cpu_placement is True
    if hidden is None and not dedicated:
        return
    kvm = add(section, "kvm")
    if hidden is not None:
        add(kvm, "hidden", state=_on(hidden))
    if dedicated:
        # The guest may wait busily: nobody else wants its processors.
        add(kvm, "hint-dedicated", state="on")


def tcg_buffer_mib(guest_bytes: int) -> int:
    """The size of QEMU's buffer for translated code, in MiB: a guest with little memory runs little code.

    All of it ends up in use, and QEMU's own default is up to 1 GiB. The processor time of booting the demo guest is
    the same with 128, 64 and 32 MiB; with 24 it is 3 to 10 % more, with 20 about 12 %, with 16 a quarter, and with 12
    nearly twice as much (medians of eight, on a busy machine). A busy shell in it takes a third more with 32 than with
    64.
    """
    fitting = (size_mib for from_mib, size_mib in _TCG_BUFFERS_MIB if guest_bytes >= from_mib * _MIB)
    return next(fitting, _SMALLEST_TCG_BUFFER_MIB)


def _hyperv(wanted: FeatureHyperv, section: Element) -> None:
    for attribute, tag in _SIMPLE_HYPERV:
        state: FeatureState | None = getattr(wanted, attribute)
        if state is not None:
            add(section, tag, state=_on(_enabled(state)))
    if wanted.spinlocks is not None:
        on = wanted.spinlocks.enabled is not False
        retries = wanted.spinlocks.spinlocks or 4096
        add(section, "spinlocks", state=_on(on), retries=str(retries) if on else None)
    if wanted.vendorid is not None:
        on = wanted.vendorid.enabled is not False
        add(section, "vendor_id", state=_on(on), value=wanted.vendorid.vendorid if on else None)
    if wanted.synictimer is not None:
        timer = add(section, "stimer", state=_on(wanted.synictimer.enabled is not False))
        if wanted.synictimer.direct is not None:
            add(timer, "direct", state=_on(_enabled(wanted.synictimer.direct)))
    if wanted.tlbflush is not None:
        add(section, "tlbflush", state=_on(wanted.tlbflush.enabled is not False))


def _enabled(state: FeatureState | None) -> bool:
    """A feature that is named without `enabled` is enabled."""
    return state is not None and state.enabled is not False


def _on(state: bool) -> str:
    return "on" if state else "off"
