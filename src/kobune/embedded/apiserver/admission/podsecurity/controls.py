"""Which controls a standard consists of. Pure.

Owns the table: since when a control is part of its level, and which control of baseline a stricter one of restricted
stands in for. Controls are reported in the order of the table, baseline's first.
"""

from typing import Final, NamedTuple

from kobune.embedded.apiserver.admission.podsecurity import baseline, restricted
from kobune.embedded.apiserver.admission.podsecurity.levels import Level, Standard
from kobune.embedded.apiserver.admission.podsecurity.violation import Check, Object, Violation

__all__ = ["violations"]


class _Control(NamedTuple):
    """A check for the minor versions `since` <= minor < `until`; stands in for the control that it names."""

    name: str
    check: Check
    since: int = 0
    until: int = 1 << 31
    instead_of: str = ""


_BASELINE: Final = (
    _Control("appArmorProfile", baseline.app_armor),
    _Control("capabilities", baseline.capabilities),
    _Control("hostNamespaces", baseline.host_namespaces),
    _Control("hostPathVolumes", baseline.host_path_volumes),
    _Control("hostPorts", baseline.host_ports),
    _Control("privileged", baseline.privileged),
    _Control("procMount", baseline.proc_mount),
    _Control("seLinuxOptions", baseline.se_linux(30), until=31),
    _Control("seLinuxOptions", baseline.se_linux(31), since=31),
    _Control("seccompProfile", baseline.seccomp_annotations, until=19),
    _Control("seccompProfile", baseline.seccomp, since=19),
    _Control("sysctls", baseline.sysctls(26), until=27),
    _Control("sysctls", baseline.sysctls(28), since=27, until=29),
    _Control("sysctls", baseline.sysctls(31), since=29, until=32),
    _Control("sysctls", baseline.sysctls(32), since=32),
    _Control("windowsHostProcess", baseline.host_process),
)
_RESTRICTED: Final = (
    _Control("allowPrivilegeEscalation", restricted.no_escalation, since=8, until=25),
    _Control("allowPrivilegeEscalation", restricted.not_on_windows(restricted.no_escalation), since=25),
    _Control("capabilities", restricted.capabilities_dropped, since=22, until=25, instead_of="capabilities"),
    _Control(
        "capabilities", restricted.not_on_windows(restricted.capabilities_dropped), since=25, instead_of="capabilities"
    ),
    _Control("restrictedVolumes", restricted.volume_types, instead_of="hostPathVolumes"),
    _Control("runAsNonRoot", restricted.run_as_non_root),
    _Control("runAsUser", restricted.run_as_user, since=23),
    _Control("seccompProfile", restricted.seccomp_required, since=19, until=25, instead_of="seccompProfile"),
    _Control(
        "seccompProfile", restricted.not_on_windows(restricted.seccomp_required), since=25, instead_of="seccompProfile"
    ),
)


def violations(standard: Standard, metadata: Object, spec: Object) -> list[Violation]:
    """What is wrong with a pod of this metadata and spec by a standard; empty: it meets it."""
    if standard.level is Level.PRIVILEGED:
        return []
    stricter = _in_force(_RESTRICTED, standard) if standard.level is Level.RESTRICTED else []
    replaced = {control.instead_of for control in stricter}
    asked = [control for control in _in_force(_BASELINE, standard) if control.name not in replaced]
    found = (control.check(metadata, spec) for control in (*asked, *stricter))
    return [violation for violation in found if violation is not None]


def _in_force(controls: tuple[_Control, ...], standard: Standard) -> list[_Control]:
    return [control for control in controls if control.since <= standard.minor < control.until]
