"""Rules of pods and pod templates. Parts of a spec have modules of their own: containers, volumes, placement."""

import ipaddress
import re
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_label, is_dns1123_subdomain, is_qualified_name
from kobune.embedded.apiserver.validation.checks import non_negative, one_of
from kobune.embedded.apiserver.validation.metadata import labels
from kobune.embedded.apiserver.validation.pod_containers import containers, user_id
from kobune.embedded.apiserver.validation.pod_placement import affinity, spread, tolerations
from kobune.embedded.apiserver.validation.pod_volumes import volumes

__all__ = ["pod_create", "pod_spec", "pod_update", "template"]

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_SYSCTL = r"[a-z0-9]([-_a-z0-9]*[a-z0-9])?([\./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*"


def pod_create(pod: dict[str, Any]) -> list[FieldError]:
    """All errors of a new pod."""
    spec = pod.get("spec") or {}
    errors = pod_spec(spec, "spec")
    if spec.get("ephemeralContainers"):
        errors.append(FieldError.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("schedulingGates") and spec.get("nodeName"):
        text = "cannot be set until all schedulingGates have been cleared"
        errors.append(FieldError.forbidden("spec.nodeName", text))
    return errors


def template(given: dict[str, Any], path: str) -> list[FieldError]:
    """All errors of a pod template."""
    meta = given.get("metadata") or {}
    return labels(meta.get("labels") or {}, f"{path}.labels") + pod_spec(given.get("spec") or {}, f"{path}.spec")


def pod_spec(spec: dict[str, Any], path: str) -> list[FieldError]:
    """All errors of a pod's spec at `path`."""
    errors: list[FieldError] = []
    found = volumes(spec.get("volumes") or [], f"{path}.volumes", errors)
    errors += containers(spec, path, found)
    errors += one_of(spec.get("restartPolicy"), _RESTART, f"{path}.restartPolicy")
    errors += one_of(spec.get("dnsPolicy"), _DNS, f"{path}.dnsPolicy")
    errors += labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    errors += non_negative(spec.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        text = "must be between 1 and 2147483647, inclusive"
        errors.append(FieldError.invalid(f"{path}.activeDeadlineSeconds", deadline, text))
    for field, rule in (
        ("serviceAccountName", is_dns1123_subdomain),
        ("nodeName", is_dns1123_subdomain),
        ("hostname", is_dns1123_label),
        ("subdomain", is_dns1123_label),
        ("runtimeClassName", is_dns1123_subdomain),
        ("priorityClassName", is_dns1123_subdomain),
    ):
        value = spec.get(field)
        if value:
            errors += [FieldError.invalid(f"{path}.{field}", value, m) for m in rule(value)]
    errors += _security(spec, f"{path}.securityContext")
    errors += _dns(spec, f"{path}.dnsConfig")
    errors += _gates(spec, path)
    for i, alias in enumerate(spec.get("hostAliases") or ()):
        errors += _alias(alias, f"{path}.hostAliases[{i}]")
    name = (spec.get("os") or {"name": "linux"}).get("name", "")
    if not name:
        errors.append(FieldError.required(f"{path}.os.name", "cannot be empty"))
    else:
        errors += one_of(name, ("linux", "windows"), f"{path}.os")
    errors += tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    errors += spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints")
    return errors + affinity(spec.get("affinity") or {}, f"{path}.affinity")


def _security(spec: dict[str, Any], path: str) -> list[FieldError]:
    context = spec.get("securityContext") or {}
    errors: list[FieldError] = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        errors += user_id(context.get(field), f"{path}.{field}")
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        errors += user_id(group, f"{path}.supplementalGroups[{i}]")
    names: set[str] = set()
    for i, sysctl in enumerate(context.get("sysctls") or ()):
        at, name = f"{path}.sysctls[{i}].name", sysctl.get("name", "")
        if not name:
            errors.append(FieldError.required(at))
        elif not re.fullmatch(_SYSCTL, name) or len(name) > 253:
            text = f"must have at most 253 characters and match regex ^{_SYSCTL}$"
            errors.append(FieldError.invalid(at, name, text))
        elif name in names:
            errors.append(FieldError.duplicate(at, name))
        names.add(name)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(FieldError.invalid(f"{path}.shareProcessNamespace", True, text))
    policies = ("Always", "OnRootMismatch")
    return errors + one_of(context.get("fsGroupChangePolicy"), policies, f"{path}.fsGroupChangePolicy")


def _dns(spec: dict[str, Any], path: str) -> list[FieldError]:
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [FieldError.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [FieldError.required(f"{path}.nameservers", text)]
    errors: list[FieldError] = []
    servers, searches = (config or {}).get("nameservers") or [], (config or {}).get("searches") or []
    if len(servers) > 3:
        text = "must not have more than 3 nameservers"
        errors.append(FieldError.invalid(f"{path}.nameservers", servers, text))
    for i, server in enumerate(servers):
        errors += _address(server, f"{path}.nameservers[{i}]")
    if len(searches) > 32:
        errors.append(FieldError.invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    for i, option in enumerate((config or {}).get("options") or ()):
        if not option.get("name"):
            errors.append(FieldError.required(f"{path}.options[{i}]", "must not be empty"))
    return errors


def _gates(spec: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, gate in enumerate(spec.get("readinessGates") or ()):
        at, kind = f"{path}.readinessGates[{i}].conditionType", gate.get("conditionType", "")
        errors += [FieldError.invalid(at, kind, m) for m in is_qualified_name(kind)]
    names: set[str] = set()
    for i, gate in enumerate(spec.get("schedulingGates") or ()):
        at, name = f"{path}.schedulingGates[{i}]", gate.get("name", "")
        errors += [FieldError.invalid(at, name, m) for m in is_qualified_name(name)]
        if name in names:
            errors.append(FieldError.duplicate(at, name))
        names.add(name)
    return errors


def _alias(alias: dict[str, Any], path: str) -> list[FieldError]:
    errors = _address(alias.get("ip", ""), f"{path}.ip")
    for i, name in enumerate(alias.get("hostnames") or ()):
        errors += [FieldError.invalid(f"{path}.hostnames[{i}]", name, m) for m in is_dns1123_subdomain(name)]
    return errors


def _address(text: str, path: str) -> list[FieldError]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return [FieldError.invalid(path, text, _IP_TEXT)]
    return []


_MUTABLE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, "
    "`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), "
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_update(pod: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """What may not change in the spec of a pod."""
    new_spec, old_spec = pod.get("spec") or {}, old.get("spec") or {}
    errors: list[FieldError] = []
    for kind in ("containers", "initContainers"):
        if len(new_spec.get(kind) or ()) != len(old_spec.get(kind) or ()):
            text = "pod updates may not add or remove containers"
            errors.append(FieldError.forbidden(f"spec.{kind}", text))
    if errors:
        return errors
    errors = pod_spec(new_spec, "spec") if new_spec != old_spec else []
    before = old_spec.get("tolerations") or []
    after = new_spec.get("tolerations") or []
    if any(t not in after for t in before if t.get("effect") != "NoExecute" or "tolerationSeconds" not in t):
        text = "existing toleration can not be modified except its tolerationSeconds"
        errors.append(FieldError.forbidden("spec.tolerations", text))
    if _fixed_part(new_spec, old_spec) != _fixed_part(old_spec, old_spec):
        errors.append(FieldError.forbidden("spec", _MUTABLE_TEXT))
    return errors


def _fixed_part(spec: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """What of a spec an update may not touch."""
    mutable = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "containers", "initContainers")
    result = {k: v for k, v in spec.items() if k not in mutable and k != "ephemeralContainers"}
    for kind in ("containers", "initContainers"):
        result[kind] = [{k: v for k, v in c.items() if k != "image"} for c in spec.get(kind) or ()]
    if old.get("schedulingGates"):
        for name in ("schedulingGates", "nodeSelector", "affinity"):
            result.pop(name, None)
    return result
