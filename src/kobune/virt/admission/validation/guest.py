"""Names, probes, DNS, strategies, placement and the smaller devices of a guest."""

import ipaddress
from typing import Final

from kobune.api.kubevirt import Devices, Probe, VGPUOptions, VirtualMachineInstanceSpec
from kobune.virt.admission.review import Reason
from kobune.virt.admission.validation.check import DNS_LABEL, DNS_SUBDOMAIN, Findings
from kobune.virt.admission.validation.networks import has_pod_network

__all__ = ["check_devices_of_instance", "check_guest"]

_EVICTION: Final = ("LiveMigrate", "LiveMigrateIfPossible", "None", "External")
_NAMESERVERS: Final = 3
_SEARCHES: Final = 6
_SEARCH_CHARACTERS: Final = 256
_PANIC_MODELS: Final = ("hyperv", "isa", "pvpanic")
_VIDEO_TYPES: Final = ("vga", "cirrus", "virtio", "ramfb", "bochs")
_LABEL_RULE: Final = "a lowercase RFC 1123 label: letters a-z, digits and '-', at most 63 characters"
_SUBDOMAIN_RULE: Final = "a lowercase RFC 1123 subdomain: labels of a-z, digits and '-', joined by '.'"


def check_guest(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """Everything about the guest that has no module of its own."""
    if spec.hostname and (not DNS_LABEL.match(spec.hostname) or len(spec.hostname) > 63):
        where = f"{path}.hostname"
        findings.add(where, f"{where} does not conform to the kubernetes DNS_LABEL rules : use {_LABEL_RULE}")
    if spec.subdomain and (not DNS_SUBDOMAIN.match(spec.subdomain) or len(spec.subdomain) > 253):
        where = f"{path}.subdomain"
        findings.add(where, f"{where} does not conform to the kubernetes DNS_SUBDOMAIN rules : use {_SUBDOMAIN_RULE}")
    for name, probe in (("readinessProbe", spec.readiness_probe), ("livenessProbe", spec.liveness_probe)):
        if probe is not None:
            _probe(findings, f"{path}.{name}", probe, spec)
    _dns(findings, path, spec)
    _strategies(findings, path, spec)
    _devices(findings, path, spec.domain.devices)


def _probe(findings: Findings, where: str, probe: Probe, spec: VirtualMachineInstanceSpec) -> None:
    handlers = (probe.tcp_socket, probe.exec, probe.http_get, probe.guest_agent_ping)
    count = sum(handler is not None for handler in handlers)
    if count == 0:
        message = f"either {where}.tcpSocket, {where}.exec or {where}.httpGet must be set if a {where} is specified"
        findings.required(where, message)
    elif count > 1:
        findings.add(where, f"{where} must have exactly one probe type set")
    if not has_pod_network(spec):
        for name, handler in (("tcpSocket", probe.tcp_socket), ("httpGet", probe.http_get)):
            if handler is not None:
                findings.add(f"{where}.{name}", f"{where}.{name} is only allowed if the Pod Network is attached")


def _dns(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    config = spec.dns_config
    if spec.dns_policy == "None" and (config is None or not config.nameservers):
        if config is None:
            findings.required(f"{path}.dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")
        else:
            message = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            findings.required("nameservers", message)
        return
    if config is None:
        return
    if len(config.nameservers) > _NAMESERVERS:
        message = f"must not have more than {_NAMESERVERS} nameservers: {config.nameservers}"
        findings.add("nameservers", message)
    for server in config.nameservers:
        if not _is_address(server):
            findings.add("nameservers", f"must be valid IP address: {server}")
    if len(config.searches) > _SEARCHES:
        findings.add("searchDomains", f"must not have more than {_SEARCHES} search paths")
    if len(" ".join(config.searches)) > _SEARCH_CHARACTERS:
        message = f"must not have more than {_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        findings.add("searchDomains", message)
    if any(not option.name for option in config.options):
        findings.add("options", "Option.Name must not be empty")
    for search in config.searches:
        if not DNS_SUBDOMAIN.match(search):
            findings.add("searchDomains", f"{search!r} is not {_SUBDOMAIN_RULE}")


def _strategies(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    if spec.eviction_strategy and spec.eviction_strategy not in _EVICTION:
        where = f"{path}.evictionStrategy"
        findings.add(where, f"{where} is set with an unrecognized option: {spec.eviction_strategy}")
    where = f"{path}.startStrategy"
    if spec.start_strategy and spec.start_strategy != "Paused":
        findings.add(where, f"{where} is set with an unrecognized option: {spec.start_strategy}")
    elif spec.start_strategy and spec.liveness_probe is not None:
        message = f"either {where} or {path}.livenessProbe should be provided: a paused guest does not answer probes"
        findings.add(where, message)
    grace = spec.termination_grace_period_seconds
    if grace is not None and grace < 0:
        findings.add(
            f"{path}.terminationGracePeriodSeconds", f"{path}.terminationGracePeriodSeconds must not be negative"
        )


def _devices(findings: Findings, path: str, devices: Devices) -> None:
    here = f"{path}.domain.devices"
    for index, device in enumerate(devices.inputs):
        if device.bus not in (None, "", "virtio", "usb"):
            findings.add(f"{here}.inputs[{index}].bus", "Input device can have only virtio or usb bus.")
        if device.type != "tablet":
            findings.add(f"{here}.inputs[{index}].type", "Input device can have only tablet type.")
    sound = devices.sound
    if sound is not None:
        if not sound.name:
            findings.add(f"{path}.Sound", "Sound device requires a name field.")
        if sound.model not in (None, "", "ich9", "ac97"):
            findings.add(f"{path}.Sound", "Sound device type is not supported. Options: 'ich9' or 'ac97'")
    if devices.host_devices and "HostDevices" not in findings.gates:
        findings.add(f"{path}.HostDevices", "Host Devices feature gate is not enabled in kubevirt-config")
    if any(not gpu.device_name and not gpu.request_name for gpu in devices.gpus):
        message = "a GPU must specify either a deviceName or a claimRequest"
        findings.required(f"{here}.gpus", message)
    ram_fbs = [
        gpu for gpu in devices.gpus if gpu.virtual_gpu_options is not None and _has_ram_fb(gpu.virtual_gpu_options)
    ]
    if len(ram_fbs) > 1:
        findings.add(f"{path}.GPUs", "configuring multiple displays with ramfb is not valid")
    for index, panic in enumerate(devices.panic_devices):
        if panic.model is not None and panic.model not in _PANIC_MODELS:
            findings.add(f"{here}.panicDevices[{index}].model", f"invalid PanicDeviceModel({panic.model})")
    if devices.downward_metrics is not None and "DownwardMetrics" not in findings.gates:
        message = "downwardMetrics virtio serial is not allowed: DownwardMetrics feature gate is not enabled"
        findings.add(f"{here}.downwardMetrics", message)
    if devices.autoattach_vsock and "VSOCK" not in findings.gates:
        findings.add(f"{here}.autoattachVSOCK", "VSOCK feature gate is not enabled in kubevirt-config")
    if devices.video is not None and devices.autoattach_graphics_device is False:
        message = "Video configuration is not allowed when autoattachGraphicsDevice is set to false"
        findings.add(f"{path}.video", message)


def check_devices_of_instance(findings: Findings, path: str, devices: Devices) -> None:
    """What an architecture's machines have: looked at when an instance is made, not in templates."""
    here = f"{path}.domain.devices"
    watchdog = devices.watchdog
    if watchdog is not None and (watchdog.i6300esb is None or watchdog.diag288 is not None):
        findings.add(f"{here}.watchdog", "amd64 only supports I6300ESB watchdog device", Reason.NOT_SUPPORTED)
    if devices.video is not None and devices.video.type not in _VIDEO_TYPES:
        message = f"video model '{devices.video.type}' is not supported on amd64 architecture"
        findings.add(f"{here}.video.type", message, Reason.NOT_SUPPORTED)


def _has_ram_fb(options: VGPUOptions) -> bool:
    display = options.display
    if display is None or display.enabled is False:
        return False
    return display.ram_fb is None or display.ram_fb.enabled is True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
