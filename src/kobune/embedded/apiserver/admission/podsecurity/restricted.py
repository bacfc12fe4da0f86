"""The controls of the level restricted: what is good practice beyond the walls of baseline. Pure.

Source: Kubernetes' Pod Security Standards, the fields and allowed values of each control, in its servers' words.
"""

from typing import Final

from kobune.embedded.apiserver.admission.podsecurity.baseline import seccomp, valid_seccomp
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
    "capabilities_dropped",
    "no_escalation",
    "not_on_windows",
    "run_as_non_root",
    "run_as_user",
    "seccomp_required",
    "volume_types",
]

_VOLUMES: Final = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_OTHER_VOLUMES: Final = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
)


def not_on_windows(check: Check) -> Check:
    """A control of Linux' own, which Windows pods meet whatever they say."""

    def wrapped(metadata: Object, spec: Object) -> Violation | None:
        return None if (spec.get("os") or {}).get("name") == "windows" else check(metadata, spec)

    return wrapped


def no_escalation(metadata: Object, spec: Object) -> Violation | None:
    """No program gives more rights than its caller has."""
    names = [
        container.get("name", "")
        for container in containers(spec)
        if security_context(container).get("allowPrivilegeEscalation") is not False
    ]
    if not names:
        return None
    return Violation(
        "allowPrivilegeEscalation != false", f"{who(names)} must set securityContext.allowPrivilegeEscalation=false"
    )


def capabilities_dropped(metadata: Object, spec: Object) -> Violation | None:
    """All are dropped, and at most that of low ports is added."""
    keeping, adding, added = [], [], set()
    for container in containers(spec):
        given = security_context(container).get("capabilities") or {}
        if "ALL" not in (given.get("drop") or ()):
            keeping.append(container.get("name", ""))
        wrong = {*(given.get("add") or ())} - {"NET_BIND_SERVICE"}
        if wrong:
            adding.append(container.get("name", ""))
            added |= wrong
    parts = [f'{who(keeping)} must set securityContext.capabilities.drop=["ALL"]'] if keeping else []
    if adding:
        parts.append(f"{who(adding)} must not include {quoted(sorted(added))} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(parts)) if parts else None


def volume_types(metadata: Object, spec: Object) -> Violation | None:
    """Only volumes that bring nothing of the node's and nothing that the cluster's owner has not made."""
    wrong = [volume for volume in spec.get("volumes") or () if not any(volume.get(k) is not None for k in _VOLUMES)]
    if not wrong:
        return None
    kinds = sorted({next((k for k in _OTHER_VOLUMES if volume.get(k) is not None), "unknown") for volume in wrong})
    count, names = len(wrong), quoted(volume.get("name", "") for volume in wrong)
    return Violation(
        "restricted volume types",
        f"{plural(count, 'volume')} {names} {plural(count, 'uses', 'use')} "
        f"{plural(len(kinds), 'restricted volume type')} {quoted(kinds)}",
    )


def run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    """Whoever an image says that it runs as, it is not root."""
    pod = security_context(spec).get("runAsNonRoot")
    given = [(c.get("name", ""), security_context(c).get("runAsNonRoot")) for c in containers(spec)]
    where = setters(pod=pod is False, names=[name for name, value in given if value is False])
    if where:
        return Violation("runAsNonRoot != true", f"{where} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in given if value is None and not pod]
    if not silent:
        return None
    return Violation("runAsNonRoot != true", f"pod or {who(silent)} must set securityContext.runAsNonRoot=true")


def run_as_user(metadata: Object, spec: Object) -> Violation | None:
    """Nobody is root by its number."""

    def root(owner: Object) -> bool:
        return security_context(owner).get("runAsUser") == 0

    where = setters(pod=root(spec), names=[c.get("name", "") for c in containers(spec) if root(c)])
    return Violation("runAsUser=0", f"{where} must not set runAsUser=0") if where else None


def seccomp_required(metadata: Object, spec: Object) -> Violation | None:
    """A filter of system calls is asked for."""
    wrong = seccomp(metadata, spec)
    if wrong is not None:
        return wrong
    if valid_seccomp(security_context(spec).get("seccompProfile") or {}):
        return None
    silent, _ = offenders(spec, lambda c: [""] if security_context(c).get("seccompProfile") is None else [])
    if not silent:
        return None
    text = f'pod or {who(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", text)
