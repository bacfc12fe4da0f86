"""The guest's clock and timers."""

from kobune.virt.domain.document import Domain, DomainSource, add

__all__ = ["configure"]


def configure(source: DomainSource, domain: Domain) -> None:
    """`<clock>`."""
    section = domain.section("clock")
    clock = source.vmi.spec.domain.clock
    if clock is not None and clock.timezone:
        section.set("offset", "timezone")
        section.set("timezone", clock.timezone)
    elif clock is not None and clock.utc is not None and clock.utc.offset_seconds is not None:
        section.set("offset", "variable")
        section.set("basis", "utc")
        section.set("adjustment", str(clock.utc.offset_seconds))
    else:
        section.set("offset", "utc")
    timer = clock.timer if clock is not None else None
    if timer is None:
        # A guest without wishes gets libvirt's defaults but the HPET, which only costs interrupts.
        add(section, "timer", name="hpet", present="no")
        return
    if timer.rtc is not None:
        add(
            section,
            "timer",
            name="rtc",
            present=_yes(timer.rtc.present),
            tickpolicy=timer.rtc.tick_policy,
            track=timer.rtc.track,
        )
    if timer.pit is not None:
        add(section, "timer", name="pit", present=_yes(timer.pit.present), tickpolicy=timer.pit.tick_policy)
    if timer.hpet is not None:
        add(section, "timer", name="hpet", present=_yes(timer.hpet.present), tickpolicy=timer.hpet.tick_policy)
    if source.facts.kvm:
        if timer.kvm is not None:
            add(section, "timer", name="kvmclock", present=_yes(timer.kvm.present))
        if timer.hyperv is not None:
            add(section, "timer", name="hypervclock", present=_yes(timer.hyperv.present))


def _yes(present: bool | None) -> str:
    return "no" if present is False else "yes"
