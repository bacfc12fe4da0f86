"""Rules of pods and pod templates."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1123_label,
    is_dns1123_subdomain,
    is_port_name,
    is_port_number,
    is_qualified_name,
)
from kobune.embedded.apiserver.validation.checks import amount, non_negative, one_of, positive
from kobune.embedded.apiserver.validation.metadata import labels, selector

__all__ = ["pod_create", "pod_spec", "pod_update", "template"]

_PULL = ("Always", "IfNotPresent", "Never")
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def pod_create(pod: dict[str, Any]) -> list[FieldError]:
    """All errors of a pod's spec."""
    return pod_spec(pod.get("spec") or {}, "spec")


def template(given: dict[str, Any], path: str) -> list[FieldError]:
    """All errors of a pod template."""
    meta = given.get("metadata") or {}
    return labels(meta.get("labels") or {}, f"{path}.labels") + pod_spec(given.get("spec") or {}, f"{path}.spec")


def pod_spec(spec: dict[str, Any], path: str) -> list[FieldError]:
    """All errors of a pod's spec at `path`."""
    errors: list[FieldError] = []
    volumes = _volumes(spec.get("volumes") or [], f"{path}.volumes", errors)
    seen: set[str] = set()
    if not spec.get("containers"):
        errors.append(FieldError.required(f"{path}.containers"))
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(kind) or ()):
            errors += _container(container, f"{path}.{kind}[{i}]", volumes, seen)
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
    for i, toleration in enumerate(spec.get("tolerations") or ()):
        errors += _toleration(toleration, f"{path}.tolerations[{i}]")
    errors += _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    return errors


def _volumes(volumes: list[dict[str, Any]], path: str, errors: list[FieldError]) -> set[str]:
    names: set[str] = set()
    for i, volume in enumerate(volumes):
        at = f"{path}[{i}]"
        name = volume.get("name", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif name in names:
            errors.append(FieldError.duplicate(f"{at}.name", name))
        else:
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in is_dns1123_label(name)]
        names.add(name)
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            text = "may not specify more than 1 volume type"
            errors += [FieldError.forbidden(f"{at}.{key}", text) for key in sources[1:]]
        for key, field in (
            ("secret", "secretName"),
            ("configMap", "name"),
            ("persistentVolumeClaim", "claimName"),
            ("hostPath", "path"),
        ):
            if isinstance(volume.get(key), dict) and not volume[key].get(field):
                errors.append(FieldError.required(f"{at}.{key}.{field}"))
    return names


def _container(container: dict[str, Any], path: str, volumes: set[str], seen: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    name = container.get("name", "")
    if not name:
        errors.append(FieldError.required(f"{path}.name"))
    else:
        errors += [FieldError.invalid(f"{path}.name", name, m) for m in is_dns1123_label(name)]
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        seen.add(name)
    image = container.get("image", "")
    if not image:
        errors.append(FieldError.required(f"{path}.image"))
    elif image.strip() != image:
        errors.append(FieldError.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    errors += one_of(container.get("imagePullPolicy"), _PULL, f"{path}.imagePullPolicy")
    errors += one_of(
        container.get("terminationMessagePolicy"),
        ("File", "FallbackToLogsOnError"),
        f"{path}.terminationMessagePolicy",
    )
    errors += _ports(container.get("ports") or [], f"{path}.ports")
    errors += _env(container.get("env") or [], f"{path}.env")
    errors += _mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", volumes)
    errors += _resources(container.get("resources") or {}, f"{path}.resources")
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(probe):
            errors += _probe(container[probe], f"{path}.{probe}")
    return errors


def _ports(ports: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    for i, port in enumerate(ports):
        at = f"{path}[{i}]"
        name = port.get("name")
        if name:
            wrong = is_port_name(name)
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in wrong]
            if not wrong and name in names:
                errors.append(FieldError.duplicate(f"{at}.name", name))
            names.add(name)
        number = port.get("containerPort", 0)
        if not number:
            errors.append(FieldError.required(f"{at}.containerPort"))
        else:
            errors += [FieldError.invalid(f"{at}.containerPort", number, m) for m in is_port_number(number)]
        if port.get("hostPort"):
            errors += [
                FieldError.invalid(f"{at}.hostPort", port["hostPort"], m) for m in is_port_number(port["hostPort"])
            ]
        errors += one_of(port.get("protocol"), _PROTOCOLS, f"{at}.protocol")
    return errors


def _env(variables: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, variable in enumerate(variables):
        at = f"{path}[{i}]"
        name = variable.get("name", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif "=" in name:
            text = (
                "a valid environment variable name must consist only of printable ASCII characters other than '=' "
                "(e.g. 'MY.ENV-NAME',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
                "'[!-<>-~]+')"
            )
            errors.append(FieldError.invalid(f"{at}.name", name, text))
        source = variable.get("valueFrom")
        if source is not None:
            if variable.get("value"):
                text = "may not be specified when `value` is not empty"
                errors.append(FieldError.invalid(f"{at}.valueFrom", "", text))
            elif len(source) != 1:
                text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                errors.append(FieldError.invalid(f"{at}.valueFrom", "", text))
    return errors


def _mounts(mounts: list[dict[str, Any]], path: str, volumes: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    paths: set[str] = set()
    for i, mount in enumerate(mounts):
        at = f"{path}[{i}]"
        name = mount.get("name", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif name not in volumes:
            errors.append(FieldError.not_found(f"{at}.name", name))
        target = mount.get("mountPath", "")
        if not target:
            errors.append(FieldError.required(f"{at}.mountPath"))
        elif target in paths:
            errors.append(FieldError.invalid(f"{at}.mountPath", target, "must be unique"))
        paths.add(target)
        below = mount.get("subPath", "")
        if below.startswith("/"):
            errors.append(FieldError.invalid(f"{at}.subPath", below, "must be a relative path"))
        elif ".." in below.split("/"):
            errors.append(FieldError.invalid(f"{at}.subPath", below, "must not contain '..'"))
    return errors


def _resources(resources: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            at = f"{path}.{kind}[{name}]"
            errors += [FieldError.invalid(f"{path}.{kind}", name, m) for m in is_qualified_name(name)]
            if "/" not in name and not _standard(name):
                errors.append(FieldError.invalid(f"{path}.{kind}", name, "must be a standard resource for containers"))
            if amount(value) < 0:
                errors.append(FieldError.invalid(at, value, "must be greater than or equal to 0"))
    for name, value in requests.items():
        if name in limits:
            if amount(value) > amount(limits[name]):
                text = f"must be less than or equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", value, text))
            elif "/" in name and amount(value) != amount(limits[name]):
                text = f"must be equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", value, text))
        elif "/" in name and not name.startswith("kubernetes.io/"):
            errors.append(FieldError.required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    return errors


def _standard(name: str) -> bool:
    return name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-")


def _probe(probe: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    handlers = [h for h in ("exec", "httpGet", "tcpSocket", "grpc") if h in probe]
    if not handlers:
        errors.append(FieldError.required(path, "must specify a handler type"))
    for extra in handlers[1:]:
        errors.append(FieldError.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type"))
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        errors += non_negative(probe.get(field), f"{path}.{field}")
    errors += positive(probe.get("terminationGracePeriodSeconds"), f"{path}.terminationGracePeriodSeconds")
    return errors


def _toleration(toleration: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    if key:
        errors += [FieldError.invalid(f"{path}.key", key, m) for m in is_qualified_name(key)]
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(FieldError.invalid(f"{path}.operator", operator, text))
    if operator not in ("", "Equal", "Exists"):
        errors.append(FieldError.not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if operator == "Exists" and toleration.get("value"):
        text = "value must be empty when `operator` is 'Exists'"
        errors.append(FieldError.invalid(f"{path}.operator", toleration["value"], text))
    if toleration.get("tolerationSeconds") is not None and toleration.get("effect") != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(FieldError.invalid(f"{path}.effect", toleration.get("effect", ""), text))
    if toleration.get("effect"):
        errors += one_of(toleration["effect"], _EFFECTS, f"{path}.effect")
    return errors


def _affinity(affinity: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for i, term in enumerate(terms):
            at = f"{path}.{kind}.requiredDuringSchedulingIgnoredDuringExecution[{i}]"
            if not term.get("topologyKey"):
                errors.append(FieldError.required(f"{at}.topologyKey", "can not be empty"))
            if term.get("labelSelector"):
                errors += selector(term["labelSelector"], f"{at}.labelSelector")
    return errors


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
