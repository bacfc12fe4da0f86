"""Features of the guest's platform, and its clock. Source: kubevirt.io/v1 (Features, Clock)."""

from kobune.api.kubevirt.devices import FeatureState
from kobune.api.meta import Int32, Int64, Object

__all__ = [
    "Clock",
    "ClockOffsetUTC",
    "FeatureAPIC",
    "FeatureHyperv",
    "FeatureKVM",
    "FeatureSpinlocks",
    "FeatureVendorID",
    "Features",
    "HPETTimer",
    "HyperVPassthrough",
    "HypervTimer",
    "KVMTimer",
    "PITTimer",
    "RTCTimer",
    "SyNICTimer",
    "TLBFlush",
    "Timer",
]


class FeatureAPIC(Object, frozen=True, kw_only=True):
    """`end_of_interrupt` is for TCG or nested guests that need it."""

    enabled: bool | None = None
    """Whether it is on; true if left out."""
    end_of_interrupt: bool | None = None
    """Whether the guest may signal the end of an interrupt without an exit."""


class FeatureSpinlocks(Object, frozen=True, kw_only=True):
    """Retries before the guest tells the hypervisor that it spins."""

    enabled: bool | None = None
    """Whether it is on; true if left out."""
    spinlocks: Int64 | None = None
    """How often the guest tries before it gives up; 4096 if left out."""


class FeatureVendorID(Object, frozen=True, kw_only=True):
    """The hypervisor's vendor id as Hyper-V guests see it, up to 12 characters."""

    enabled: bool | None = None
    """Whether it is on; true if left out."""
    vendorid: str | None = None
    """The text that the guest reads."""


class SyNICTimer(Object, frozen=True, kw_only=True):
    """Synthetic timers, `direct` ones included."""

    direct: FeatureState | None = None
    enabled: bool | None = None
    """Whether it is on; true if left out."""


class TLBFlush(Object, frozen=True, kw_only=True):
    """Paravirtual TLB flush."""

    direct: FeatureState | None = None
    enabled: bool | None = None
    """Whether it is on; true if left out."""
    extended: FeatureState | None = None


class FeatureHyperv(Object, frozen=True, kw_only=True):
    """Hyper-V enlightenments, one by one."""

    evmcs: FeatureState | None = None
    frequencies: FeatureState | None = None
    ipi: FeatureState | None = None
    reenlightenment: FeatureState | None = None
    relaxed: FeatureState | None = None
    reset: FeatureState | None = None
    runtime: FeatureState | None = None
    spinlocks: FeatureSpinlocks | None = None
    synic: FeatureState | None = None
    synictimer: SyNICTimer | None = None
    tlbflush: TLBFlush | None = None
    vapic: FeatureState | None = None
    vendorid: FeatureVendorID | None = None
    vpindex: FeatureState | None = None


class HyperVPassthrough(Object, frozen=True, kw_only=True):
    """Every Hyper-V enlightenment that the host knows."""

    enabled: bool | None = None
    """Whether it is on; true if left out."""


class FeatureKVM(Object, frozen=True, kw_only=True):
    """`hidden` hides KVM from the guest."""

    hidden: bool | None = None
    """Whether the guest is kept from seeing that it runs in KVM."""


class Features(Object, frozen=True, kw_only=True):
    """CPU and platform features."""

    acpi: FeatureState | None = None
    apic: FeatureAPIC | None = None
    hyperv: FeatureHyperv | None = None
    hyperv_passthrough: HyperVPassthrough | None = None
    kvm: FeatureKVM | None = None
    pvspinlock: FeatureState | None = None
    smm: FeatureState | None = None


class ClockOffsetUTC(Object, frozen=True, kw_only=True):
    """UTC, shifted by seconds."""

    offset_seconds: Int32 | None = None
    """Seconds ahead of UTC."""


class HPETTimer(Object, frozen=True, kw_only=True):
    """HPET; `tick_policy` is delay, catchup, merge or discard."""

    present: bool | None = None
    """Whether the guest has it; true if left out."""
    tick_policy: str | None = None
    """What happens to ticks that could not be delivered in time."""


class HypervTimer(Object, frozen=True, kw_only=True):
    """Hyper-V reference clock."""

    present: bool | None = None
    """Whether the guest has it; true if left out."""


class KVMTimer(Object, frozen=True, kw_only=True):
    """KVM clock."""

    present: bool | None = None
    """Whether the guest has it; true if left out."""


class PITTimer(Object, frozen=True, kw_only=True):
    """PIT; `tick_policy` is delay, catchup or discard."""

    present: bool | None = None
    """Whether the guest has it; true if left out."""
    tick_policy: str | None = None
    """What happens to ticks that could not be delivered in time."""


class RTCTimer(Object, frozen=True, kw_only=True):
    """RTC; `track` is guest or wall."""

    present: bool | None = None
    """Whether the guest has it; true if left out."""
    tick_policy: str | None = None
    """What happens to ticks that could not be delivered in time."""
    track: str | None = None
    """What the clock follows."""


class Timer(Object, frozen=True, kw_only=True):
    """Timers of the guest; absent ones keep libvirt's default."""

    hpet: HPETTimer | None = None
    hyperv: HypervTimer | None = None
    kvm: KVMTimer | None = None
    pit: PITTimer | None = None
    rtc: RTCTimer | None = None


class Clock(Object, frozen=True, kw_only=True):
    """Clock of the guest: UTC (with an offset) or a time zone."""

    timer: Timer | None = None
    timezone: str | None = None
    """The guest's clock shows the local time of this zone, such as `Europe/Paris`."""
    utc: ClockOffsetUTC | None = None
