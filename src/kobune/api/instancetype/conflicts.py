"""What a machine may not say because its instancetype decides it. Works on decoded JSON; pure."""

from collections.abc import Mapping
from typing import Any, Final

from kobune.api.instancetype.types import VirtualMachineInstancetypeSpec

__all__ = ["conflicts"]

Document = dict[str, Any]

_POOL: Final = "supplementalPoolThreadCount"


def conflicts(
    spec: Document, instancetype: VirtualMachineInstancetypeSpec, annotations: Mapping[str, str] | None = None
) -> list[str]:
    """Paths below the specification that both give; `annotations` are the template's, whose paths begin with a slash
    because they are not below the specification."""
    domain = spec.get("domain") or {}
    devices = domain.get("devices") or {}
    given = {
        "nodeSelector": (spec.get("nodeSelector"), instancetype.node_selector),
        "schedulerName": (spec.get("schedulerName"), instancetype.scheduler_name),
    }
    rest = {
        "domain.ioThreadsPolicy": (domain.get("ioThreadsPolicy"), instancetype.io_threads_policy),
        f"domain.ioThreads.{_POOL}": (
            (domain.get("ioThreads") or {}).get(_POOL) is not None,
            instancetype.io_threads is not None and instancetype.io_threads.supplemental_pool_thread_count is not None,
        ),
        "domain.launchSecurity": (domain.get("launchSecurity"), instancetype.launch_security),
        "domain.devices.gpus": (devices.get("gpus"), instancetype.gpus),
        "domain.devices.hostDevices": (devices.get("hostDevices"), instancetype.host_devices),
    }
    found = _both(given) + _cpu(domain, instancetype) + _memory(domain, instancetype)[:1] + _both(rest)
    own = annotations or {}
    return found + [
        f"/annotations.{key}" for key, value in instancetype.annotations.items() if own.get(key, value) != value
    ]


def _both(pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [path for path, (own, decided) in pairs.items() if own and decided]


def _cpu(domain: Document, instancetype: VirtualMachineInstancetypeSpec) -> list[str]:
    cpu, resources, decided = domain.get("cpu") or {}, domain.get("resources") or {}, instancetype.cpu
    found = [f"domain.resources.{kind}.cpu" for kind in ("requests", "limits") if "cpu" in (resources.get(kind) or {})]
    found += [f"domain.cpu.{name}" for name in ("sockets", "cores", "threads") if cpu.get(name)]
    return found + _both(
        {
            "domain.cpu.model": (cpu.get("model"), decided.model),
            "domain.cpu.dedicatedCPUPlacement": (
                cpu.get("dedicatedCpuPlacement"),
                decided.dedicated_cpu_placement is not None,
            ),
            "domain.cpu.isolateEmulatorThread": (
                cpu.get("isolateEmulatorThread"),
                decided.isolate_emulator_thread is not None,
            ),
            "domain.cpu.numa": (cpu.get("numa") is not None, decided.numa is not None),
            "domain.cpu.realtime": (cpu.get("realtime") is not None, decided.realtime is not None),
        }
    )


def _memory(domain: Document, instancetype: VirtualMachineInstancetypeSpec) -> list[str]:
    memory, resources, decided = domain.get("memory") or {}, domain.get("resources") or {}, instancetype.memory
    found = ["domain.memory.guest"] if memory.get("guest") is not None else []
    found += _both(
        {
            "domain.memory.hugepages": (memory.get("hugepages") is not None, decided.hugepages is not None),
            "domain.memory.maxGuest": (memory.get("maxGuest") is not None, decided.max_guest is not None),
        }
    )
    kinds = ("requests", "limits")
    return found + [f"domain.resources.{kind}.memory" for kind in kinds if "memory" in (resources.get(kind) or {})]
