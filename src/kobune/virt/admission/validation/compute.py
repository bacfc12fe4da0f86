"""CPU, memory, machine and firmware."""

import math
from decimal import Decimal
from typing import Final

from kobune.api.kubevirt import CPU, DomainSpec, ResourceRequirements, VirtualMachineInstanceSpec
from kobune.api.kubevirt.firmware import Firmware
from kobune.virt.admission.review import Reason
from kobune.virt.admission.validation.check import LONGEST_SERIAL, SERIAL, Findings, check_path, number_of
from kobune.virt.domain.numa import chosen_vcpus

__all__ = ["check_boot", "check_compute"]

_POLICIES: Final = ("force", "require", "optional", "disable", "forbid")
_ARCHITECTURES: Final = ("amd64", "arm64", "s390x")
_SMALLEST_MEMORY: Final = 10**6
_IO_POLICIES: Final = ("shared", "auto", "supplementalPool")


def check_compute(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """CPU, memory and platform of a specification at `path`."""
    domain = spec.domain
    here = f"{path}.domain"
    resources = domain.resources or ResourceRequirements()
    _amounts(findings, f"{here}.resources", resources)
    _hugepages(findings, here, domain, resources)
    _dedicated(findings, here, domain, resources)
    _cpu(findings, here, domain)
    _platform(findings, path, spec)


def _amounts(findings: Findings, here: str, resources: ResourceRequirements) -> None:
    for name in ("memory", "cpu"):
        request, limit = resources.requests.get(name), resources.limits.get(name)
        for kind, value in (("requests", request), ("limits", limit)):
            number = number_of(value)
            if number is not None and number < 0:
                findings.add(
                    f"{here}.{kind}.{name}", f"{here}.{kind}.{name} '{value}': must be greater than or equal to 0."
                )
        asked, most = number_of(request), number_of(limit)
        if name == "memory" and asked is not None and 0 < asked < _SMALLEST_MEMORY:
            where = f"{here}.requests.memory"
            findings.add(where, f"{where} '{request}': must be greater than or equal to 1M.")
        if asked is not None and most is not None and asked > most > 0:
            where = f"{here}.requests.{name}"
            findings.add(where, f"{where} '{request}' is greater than {here}.limits.{name} '{limit}'")


def _hugepages(findings: Findings, here: str, domain: DomainSpec, resources: ResourceRequirements) -> None:
    hugepages = domain.memory.hugepages if domain.memory is not None else None
    if hugepages is None or hugepages.page_size is None:
        return
    where = f"{here}.memory.hugepages.pageSize"
    page = number_of(hugepages.page_size)
    if page is None or page <= 0:
        message = f"{where} '{hugepages.page_size}' is not a quantity: use a size such as 2Mi or 1Gi"
        findings.add(where, message)
        return
    request = number_of(resources.requests.get("memory"))
    if request is not None and request % page:
        amount = resources.requests["memory"]
        message = (
            f"{here}.resources.requests.memory '{amount}' is not a multiple of the page size {where} "
            f"'{hugepages.page_size}'"
        )
        findings.add(f"{here}.resources.requests.memory", message)
    guest = number_of(domain.memory.guest) if domain.memory is not None else None
    if guest is not None and guest % page:
        message = f"{here}.memory.guest is not a multiple of the page size {where} '{hugepages.page_size}'"
        findings.add(f"{here}.memory.guest", message)


def _dedicated(findings: Findings, here: str, domain: DomainSpec, resources: ResourceRequirements) -> None:
    cpu = domain.cpu or CPU()
    dedicated = bool(cpu.dedicated_cpu_placement)
    where = f"{here}.cpu.dedicatedCpuPlacement"
    if dedicated:
        amounts: dict[str, Decimal | None] = {}
        for kind, values in (("requests", resources.requests), ("limits", resources.limits)):
            amounts[kind] = number_of(values.get("cpu"))
            if (number := amounts[kind]) is not None and number % 1:
                message = f"provided resources CPU {kind} must be an integer"
                findings.add(f"{here}.resources.{kind}.cpu", message)
        if amounts["requests"] is not None and amounts["limits"] not in (None, amounts["requests"]):
            message = (
                f"{here}.resources.requests.cpu or {here}.resources.limits.cpu must be equal when "
                "DedicatedCPUPlacement is true"
            )
            findings.add(where, message)
        memory = number_of(resources.requests.get("memory"))
        if memory is not None and number_of(resources.limits.get("memory")) not in (None, memory):
            message = f"{here}.resources.requests.memory must be equal to {here}.resources.limits.memory"
            findings.add(f"{here}.resources.requests.memory", message)
        count = math.prod(part for part in (cpu.cores, cpu.sockets, cpu.threads) if part)
        if any(cpu_part for cpu_part in (cpu.cores, cpu.sockets, cpu.threads)) and _differ(amounts, count):
            message = (
                f"{here}.resources.requests.cpu or {here}.resources.limits.cpu must not be provided at the same time "
                f"with {here}.cpu.cores when DedicatedCPUPlacement is true"
            )
            findings.add(where, message)
        if (cpu.threads or 0) > 2:
            message = (
                f"Not more than two threads must be provided at {here}.cpu.threads (got {cpu.threads}) when "
                "DedicatedCPUPlacement is true"
            )
            findings.add(where, message)
    elif cpu.isolate_emulator_thread:
        message = f"{where} must be set to true when IsolateEmulatorThread is set"
        findings.add(f"{here}.cpu.isolateEmulatorThread", message)
    _numa(findings, here, domain, dedicated=dedicated)


def _differ(amounts: dict[str, Decimal | None], count: int) -> bool:
    """Whether CPUs are asked for, and as many as the topology has by neither request nor limit."""
    given = [math.ceil(number) for number in amounts.values() if number]
    return bool(given) and count not in given


def _numa(findings: Findings, here: str, domain: DomainSpec, *, dedicated: bool) -> None:
    cpu = domain.cpu or CPU()
    passthrough = cpu.numa is not None and cpu.numa.guest_mapping_passthrough is not None
    where = f"{here}.cpu.numa.guestMappingPassthrough"
    if passthrough:
        if not dedicated:
            message = f"{here}.cpu.dedicatedCpuPlacement must be set to true when NUMA topology strategy is set"
            findings.add(where, message)
        if domain.memory is None or domain.memory.hugepages is None:
            message = f"{here}.memory.hugepages must be requested when NUMA topology strategy is set in {where}"
            findings.add(where, message)
    if cpu.realtime is not None:
        if not dedicated:
            message = f"{here}.cpu.dedicatedCpuPlacement must be set to true when {here}.cpu.realtime is used"
            findings.required(f"{here}.cpu.dedicatedCpuPlacement", message)
        if not passthrough:
            findings.required(where, f"{where} must be defined when {here}.cpu.realtime is used")
        try:
            chosen_vcpus(cpu.realtime.mask or "", 0)
        except ValueError:
            message = f"{here}.cpu.realtime.mask '{cpu.realtime.mask}' is no list of CPUs such as 0-3,^1"
            findings.add(f"{here}.cpu.realtime.mask", message)


def _cpu(findings: Findings, here: str, domain: DomainSpec) -> None:
    cpu = domain.cpu or CPU()
    if cpu.sockets and cpu.max_sockets and cpu.sockets > cpu.max_sockets:
        message = "Number of sockets in CPU topology is greater than the maximum sockets allowed"
        findings.add(f"{here}.cpu.sockets", message)
    for index, feature in enumerate((domain.cpu or CPU()).features):
        if feature.policy and feature.policy not in _POLICIES:
            message = f"CPU feature {feature.name} uses policy {feature.policy} that is not supported."
            findings.add(f"{here}.cpu.features[{index}].policy", message, Reason.NOT_SUPPORTED)
    policy = domain.io_threads_policy
    if policy and policy not in _IO_POLICIES:
        findings.add(f"{here}.ioThreadsPolicy", f"Invalid IOThreadsPolicy ({policy})")
    count = domain.io_threads.supplemental_pool_thread_count if domain.io_threads is not None else None
    if policy == "supplementalPool" and (count is None or count < 1):
        message = "the number of iothreads needs to be set and positive for the dedicated policy"
        findings.add(f"{here}.ioThreads.count", message)


def _platform(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    domain = spec.domain
    if spec.architecture and spec.architecture not in _ARCHITECTURES:
        findings.add(f"{path}.architecture", f"unsupported architecture: {spec.architecture}")
    machine = domain.machine.type if domain.machine is not None else None
    if machine and not machine.startswith(("q35", "pc-q35")) and spec.architecture in (None, "", "amd64"):
        where = f"{path}.domain.machine.type"
        findings.add(where, f"{where} is not supported: {machine} (allowed values: [q35* pc-q35*])")
    firmware = domain.firmware
    boot = firmware.bootloader if firmware is not None else None
    efi = boot.efi if boot is not None else None
    where = f"{path}.domain.firmware"
    check_boot(findings, where, firmware)
    secure_boot = efi is not None and efi.secure_boot is not False
    smm = domain.features.smm if domain.features is not None else None
    if secure_boot and (smm is None or smm.enabled is False):
        message = f"{path}.domain has EFI SecureBoot enabled. SecureBoot requires SMM, which is currently disabled."
        findings.add(f"{path}.domain", message)
    _launch_security(findings, path, spec, has_efi=efi is not None, secure_boot=secure_boot)
    if firmware is not None:
        _serial(findings, f"{where}.serial", firmware.serial or "")
        _acpi(findings, f"{path}.acpi", spec)


def check_boot(findings: Findings, where: str, firmware: Firmware | None) -> None:
    """What boots the guest, of the firmware at `where`."""
    boot = firmware.bootloader if firmware is not None else None
    if boot is not None and boot.efi is not None and boot.bios is not None:
        message = f"{where}.bootloader has both EFI and BIOS configured, but they are mutually exclusive."
        findings.add(f"{where}.bootloader", message)
    kernel = firmware.kernel_boot if firmware is not None else None
    if kernel is None:
        return
    if kernel.container is None:
        if kernel.kernel_args:
            message = "kernel arguments cannot be provided without an external kernel"
            findings.add(f"{where}.kernelBoot.kernelArgs", message)
        return
    if not kernel.container.image:
        message = f"{where}.kernelBoot.container must be defined with an image"
        findings.required(f"{where}.kernelBoot.container.image", message)
    if not kernel.container.kernel_path and not kernel.container.initrd_path:
        message = f"{where}.kernelBoot.container must be defined with at least one of initrdPath, kernelPath"
        findings.required(f"{where}.kernelBoot.container", message)
    for name, value in (("kernelPath", kernel.container.kernel_path), ("initrdPath", kernel.container.initrd_path)):
        if value:
            check_path(findings, f"{where}.kernelBoot.container.{name}", value)


def _launch_security(
    findings: Findings, path: str, spec: VirtualMachineInstanceSpec, *, has_efi: bool, secure_boot: bool
) -> None:
    security = spec.domain.launch_security
    if security is None:
        return
    where = f"{path}.launchSecurity"
    given = {"SEV": security.sev, "SNP": security.snp, "TDX": security.tdx}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        findings.add(where, "One and only one launchSecurity type can be set", Reason.FORBIDDEN)
        return
    for name in chosen:
        if not has_efi:
            findings.add(where, f"{name} requires OVMF (UEFI)")
        elif secure_boot and name != "TDX":
            findings.add(where, f"{name} does not work along with SecureBoot")
        for interface in spec.domain.devices.interfaces:
            if interface.boot_order is not None:
                findings.add(where, f"{name} does not work with bootable NICs: {interface.name}")
    if security.sev is not None and security.sev.attestation is not None and spec.start_strategy != "Paused":
        findings.add(where, "SEV attestation requires VMI StartStrategy 'Paused'")


def _serial(findings: Findings, where: str, serial: str) -> None:
    if not serial:
        return
    if len(serial) > LONGEST_SERIAL:
        findings.add(where, f"{where} must be less than or equal to {LONGEST_SERIAL} in length, if specified")
    if not SERIAL.match(serial):
        findings.add(where, f"{where} must be made up of the following characters [A-Za-z0-9_.+-], if specified")


def _acpi(findings: Findings, where: str, spec: VirtualMachineInstanceSpec) -> None:
    acpi = spec.domain.firmware.acpi if spec.domain.firmware is not None else None
    if acpi is None:
        return
    references = {"slicNameRef": acpi.slic_name_ref, "msdmNameRef": acpi.msdm_name_ref}
    if not any(references.values()):
        findings.add(where, "ACPI was set but no SLIC nor MSDM volume reference was set")
    volumes = {volume.name: volume for volume in spec.volumes}
    for name, reference in references.items():
        if not reference:
            continue
        volume = volumes.get(reference)
        if volume is None:
            findings.add(f"{where}.{name}", f"{where} does not have a matching Volume.")
        elif volume.secret is None:
            findings.add(f"{where}.{name}", f"{where} refers to Volume of unsupported type.")
