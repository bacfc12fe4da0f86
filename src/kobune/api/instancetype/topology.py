"""How vCPUs become sockets, cores and threads. Pure. Source: instancetype.kubevirt.io's published semantics."""

from typing import Any, Final

from kobune.api.instancetype.types import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec

__all__ = ["DEPRECATED_TOPOLOGIES", "arrange", "preferred_topology", "spread_options", "spread_problem"]

DEPRECATED_TOPOLOGIES: Final = {
    "preferSockets": "sockets",
    "preferCores": "cores",
    "preferThreads": "threads",
    "preferSpread": "spread",
    "preferAny": "any",
}
DEFAULT_RATIO: Final = 2
THREADS_PER_CORE: Final = 2


def preferred_topology(preference: VirtualMachinePreferenceSpec | None) -> str:
    """One of sockets, cores, threads, spread, any; sockets when nothing is preferred."""
    cpu = preference.cpu if preference is not None else None
    wanted = (cpu.preferred_cpu_topology if cpu is not None else None) or "sockets"
    return DEPRECATED_TOPOLOGIES.get(wanted, wanted)


def spread_options(preference: VirtualMachinePreferenceSpec | None) -> tuple[int, str]:
    """The ratio, and across what: SocketsCores, CoresThreads or SocketsCoresThreads."""
    ratio, across = DEFAULT_RATIO, "SocketsCores"
    if preference is not None:
        ratio = preference.prefer_spread_socket_to_core_ratio or ratio
        options = preference.cpu.spread_options if preference.cpu is not None else None
        if options is not None:
            ratio, across = options.ratio or ratio, options.across or across
    return ratio, across


def arrange(count: int, preference: VirtualMachinePreferenceSpec | None) -> dict[str, Any]:
    """The topology of that many vCPUs. A number that cannot be spread as preferred becomes sockets."""
    shape = {"cores": 1, "sockets": 1, "threads": 1}
    kind = preferred_topology(preference)
    if kind in ("cores", "threads"):
        shape[kind] = count
    elif kind == "spread" and count > 1 and not _remainder(count, preference):
        ratio, across = spread_options(preference)
        if across == "CoresThreads":
            shape |= {"cores": count // ratio, "threads": ratio}
        elif across == "SocketsCoresThreads":
            shape |= {"sockets": count // THREADS_PER_CORE // ratio, "cores": ratio, "threads": THREADS_PER_CORE}
        else:
            shape |= {"sockets": count // ratio, "cores": ratio}
    else:
        shape["sockets"] = count
    return shape


def spread_problem(
    instancetype: VirtualMachineInstancetypeSpec | None, preference: VirtualMachinePreferenceSpec | None
) -> str:
    """Why the instancetype's vCPUs cannot be spread as preferred; empty when they can."""
    if instancetype is None or preferred_topology(preference) != "spread":
        return ""
    count = instancetype.cpu.guest
    if not _remainder(count, preference):
        return ""
    ratio, across = spread_options(preference)
    what = {
        "SocketsCores": f"the ratio of {ratio} of cores to sockets that the preference wants",
        "CoresThreads": f"the {ratio} threads of a core",
        "SocketsCoresThreads": f"the {THREADS_PER_CORE} threads of a core and the ratio of {ratio} of cores to sockets",
    }.get(across, f"the ratio of {ratio}")
    return f"{count} vCPUs provided by the instance type are not divisible by {what}"


def _remainder(count: int, preference: VirtualMachinePreferenceSpec | None) -> bool:
    ratio, across = spread_options(preference)
    if across == "SocketsCoresThreads":
        return count % THREADS_PER_CORE > 0 or count // THREADS_PER_CORE % ratio > 0
    return count % ratio > 0
