"""Reads libvirt's documents about a node's CPU. Pure.

Source: https://libvirt.org/formatdomaincaps.html and https://libvirt.org/formatcaps.html.
"""

import xml.etree.ElementTree as ElementTree

import msgspec

from kobune.virt.launcherproto.cpufacts import CpuFacts

__all__ = ["NodeCpu", "read_cpu"]


class NodeCpu(msgspec.Struct, frozen=True, kw_only=True):
    """What guests of one launcher image can have on this node."""

    kvm: bool = False
    host_model: str = ""
    vendor: str = ""
    required: tuple[str, ...] = ()
    """Features that host-model has beyond its model."""
    usable: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """All models that libvirt knows, those that this CPU is too old for included."""
    features: tuple[str, ...] = ()
    model_features: dict[str, list[str]] = {}
    machines: tuple[str, ...] = ()
    hyperv: tuple[str, ...] = ()
    tsc_frequency_hz: int = 0
    tsc_scalable: bool = False
    sev: bool = False
    sev_es: bool = False


def read_cpu(facts: CpuFacts, *, kvm: bool) -> NodeCpu:
    """Raises ValueError for documents that are none."""
    if facts.error:
        raise ValueError(facts.error)
    try:
        domain = ElementTree.fromstring(facts.domain_capabilities)  # noqa: S314 - our own image's libvirt wrote it
        host = ElementTree.fromstring(facts.capabilities)  # noqa: S314
        baseline = ElementTree.fromstring(facts.baseline) if facts.baseline else ElementTree.Element("cpu")  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"libvirt's answer is no XML: {error}") from error
    mode = domain.find("cpu/mode[@name='host-model'][@supported='yes']")
    models = domain.findall("cpu/mode[@name='custom']/model")
    counter = host.find("host/cpu/counter[@name='tsc']")
    sev = domain.find("features/sev[@supported='yes']")
    return NodeCpu(
        kvm=kvm,
        host_model=_text(mode, "model"),
        vendor=_text(mode, "vendor"),
        required=_features(mode),
        usable=tuple(sorted(model.text or "" for model in models if model.get("usable") == "yes")),
        known=tuple(sorted(model.text or "" for model in models)),
        features=_features(baseline),
        model_features=facts.model_features,
        machines=tuple(sorted({item.text or "" for item in host.findall("guest/arch[@name='x86_64']/machine")})),
        hyperv=tuple(
            item.text or "" for item in domain.findall("features/hyperv[@supported='yes']/enum[@name='features']/value")
        ),
        tsc_frequency_hz=int(counter.get("frequency", "0")) if counter is not None else 0,
        tsc_scalable=counter is not None and counter.get("scaling") == "yes",
        sev=sev is not None,
        sev_es=sev is not None and int(_text(sev, "maxESGuests") or "0") > 0,
    )


def _text(parent: ElementTree.Element | None, name: str) -> str:
    return (parent.findtext(name) or "") if parent is not None else ""


def _features(cpu: ElementTree.Element | None) -> tuple[str, ...]:
    if cpu is None:
        return ()
    required = (item for item in cpu.findall("feature") if item.get("policy") == "require")
    return tuple(sorted(item.get("name", "") for item in required))
