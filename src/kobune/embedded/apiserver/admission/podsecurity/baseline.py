"""The controls of the level baseline: what would let a pod out of its walls. Pure.

Source: Kubernetes' Pod Security Standards, the fields and allowed values of each control, in its servers' words.
"""

from collections.abc import Iterable
from typing import Final

from kobune.embedded.apiserver.admission.podsecurity.violation import (
    Check,
    Object,
    Violation,
    containers,
    offenders,
    plural,
    quoted,
    security_context,
    setters,
    who,
)

__all__ = [
    "app_armor",
    "capabilities",
    "host_namespaces",
    "host_path_volumes",
    "host_ports",
    "host_process",
    "privileged",
    "proc_mount",
    "se_linux",
    "seccomp",
    "seccomp_annotations",
    "sysctls",
    "valid_seccomp",
]

_APP_ARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP: Final = "container.seccomp.security.alpha.kubernetes.io/"
_CAPABILITIES: Final = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SYSCTLS: Final = (
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
)
"""Those that belong to the pod alone, by the minor version that allows them first."""
_SE_LINUX_TYPES: Final = (
    (0, ""),
    (0, "container_t"),
    (0, "container_init_t"),
    (0, "container_kvm_t"),
    (31, "container_engine_t"),
)


def valid_seccomp(profile: Object) -> bool:
    """Whether a seccompProfile leaves a filter in force."""
    return profile.get("type") in ("RuntimeDefault", "Localhost")


def app_armor(metadata: Object, spec: Object) -> Violation | None:
    """Profiles are the runtime's or one that the node has."""

    def wrong(owner: Object) -> list[str]:
        profile = security_context(owner).get("appArmorProfile")
        kind = profile.get("type", "") if profile is not None else "RuntimeDefault"
        return [] if kind in ("RuntimeDefault", "Localhost") else [kind]

    names, values = offenders(spec, wrong)
    values = sorted({*values, *wrong(spec)})
    annotations = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(_APP_ARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    )
    parts = [setters(pod=bool(wrong(spec)), names=names), plural(len(annotations), "annotation") if annotations else ""]
    where = " and ".join(part for part in parts if part)
    if not where:
        return None
    values += annotations
    reason = plural(len(values), "forbidden AppArmor profile")
    return Violation(reason, f"{where} must not set AppArmor profile type to {quoted(values)}")


def capabilities(metadata: Object, spec: Object) -> Violation | None:
    """Only those are added that containers have anyway."""
    names, values = offenders(spec, lambda container: set(_added(container)) - _CAPABILITIES)
    if not names:
        return None
    return Violation(
        "non-default capabilities",
        f"{who(names)} must not include {quoted(values)} in securityContext.capabilities.add",
    )


def _added(container: Object) -> Iterable[str]:
    return (security_context(container).get("capabilities") or {}).get("add") or ()


def host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    """None of the node's namespaces is shared."""
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(metadata: Object, spec: Object) -> Violation | None:
    """No path of the node is mounted."""
    names = [v.get("name", "") for v in spec.get("volumes") or () if v.get("hostPath") is not None]
    return Violation("hostPath volumes", f"{plural(len(names), 'volume')} {quoted(names)}") if names else None


def host_ports(metadata: Object, spec: Object) -> Violation | None:
    """No port of the node is taken."""
    names, ports = offenders(
        spec, lambda container: [str(p["hostPort"]) for p in container.get("ports") or () if p.get("hostPort")]
    )
    if not names:
        return None
    verb, what = plural(len(names), "uses", "use"), plural(len(ports), "hostPort")
    return Violation("hostPort", f"{who(names)} {verb} {what} {', '.join(ports)}")


def privileged(metadata: Object, spec: Object) -> Violation | None:
    """No container is privileged."""
    names = [c.get("name", "") for c in containers(spec) if security_context(c).get("privileged")]
    return Violation("privileged", f"{who(names)} must not set securityContext.privileged=true") if names else None


def proc_mount(metadata: Object, spec: Object) -> Violation | None:
    """What the runtime hides of /proc stays hidden."""

    def wrong(container: Object) -> list[str]:
        kind = security_context(container).get("procMount")
        return [] if kind in (None, "Default") else [kind]

    names, values = offenders(spec, wrong)
    if not names:
        return None
    return Violation("procMount", f"{who(names)} must not set securityContext.procMount to {quoted(values)}")


def se_linux(minor: int) -> Check:
    """Only types of containers, and nobody else's user or role."""
    allowed = {name for since, name in _SE_LINUX_TYPES if since <= minor}

    def check(metadata: Object, spec: Object) -> Violation | None:
        types: set[str] = set()
        fields: set[str] = set()

        def wrong(owner: Object) -> bool:
            options = security_context(owner).get("seLinuxOptions") or {}
            kind = options.get("type", "")
            set_fields = {name for name in ("user", "role") if options.get(name)}
            types.update({kind} - allowed)
            fields.update(set_fields)
            return kind not in allowed or bool(set_fields)

        pod = wrong(spec)
        names = [container.get("name", "") for container in containers(spec) if wrong(container)]
        where = setters(pod=pod, names=names)
        if not where:
            return None
        parts = [f"{plural(len(types), 'type')} {quoted(sorted(types))}"] if types else []
        parts += [f"{name} may not be set" for name in ("user", "role") if name in fields]
        return Violation("seLinuxOptions", f"{where} set forbidden securityContext.seLinuxOptions: {'; '.join(parts)}")

    return check


def seccomp_annotations(metadata: Object, spec: Object) -> Violation | None:
    """Before there was a field: the annotations leave a filter in force."""
    annotations = metadata.get("annotations") or {}
    keys = [_SECCOMP_POD, *(_SECCOMP + container.get("name", "") for container in containers(spec))]
    bad = {key: annotations[key] for key in keys if key in annotations and _unfiltered(annotations[key])}
    wrong = sorted(f'{key}="{value}"' for key, value in bad.items())
    if not wrong:
        return None
    return Violation("seccompProfile", f"forbidden {plural(len(wrong), 'annotation')} {', '.join(wrong)}")


def _unfiltered(value: str) -> bool:
    return value not in ("runtime/default", "docker/default") and not value.startswith("localhost/")


def seccomp(metadata: Object, spec: Object) -> Violation | None:
    """No filter of system calls is switched off."""

    def wrong(owner: Object) -> list[str]:
        profile = security_context(owner).get("seccompProfile")
        return [] if profile is None or valid_seccomp(profile) else [profile.get("type", "")]

    names, values = offenders(spec, wrong)
    where = setters(pod=bool(wrong(spec)), names=names)
    if not where:
        return None
    values = sorted({*values, *wrong(spec)})
    return Violation("seccompProfile", f"{where} must not set securityContext.seccompProfile.type to {quoted(values)}")


def sysctls(minor: int) -> Check:
    """Only settings that reach no other pod."""
    allowed = {name for since, name in _SYSCTLS if since <= minor}

    def check(metadata: Object, spec: Object) -> Violation | None:
        wrong = [s["name"] for s in security_context(spec).get("sysctls") or () if s.get("name") not in allowed]
        return Violation("forbidden sysctls", ", ".join(wrong)) if wrong else None

    return check


def host_process(metadata: Object, spec: Object) -> Violation | None:
    """No Windows container is a process of its host."""

    def wrong(owner: Object) -> bool:
        return bool((security_context(owner).get("windowsOptions") or {}).get("hostProcess"))

    names = [container.get("name", "") for container in containers(spec) if wrong(container)]
    where = setters(pod=wrong(spec), names=names)
    text = f"{where} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", text) if where else None
