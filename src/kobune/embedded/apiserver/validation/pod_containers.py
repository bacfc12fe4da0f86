"""Rules of a pod's containers: names, ports, variables, mounts, resources."""

import re
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import (
    is_dns1123_label,
    is_port_name,
    is_port_number,
    is_qualified_name,
)
from kobune.embedded.apiserver.validation.checks import amount, one_of
from kobune.embedded.apiserver.validation.pod_handlers import lifecycle, probes
from kobune.embedded.apiserver.validation.pod_sources import ENV_FIELDS, descending, field_ref, resource_ref

__all__ = ["Volumes", "containers", "user_id"]

Volumes = dict[str, dict[str, Any]]

_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_INIT_TEXT = "may not be set for init containers without restartPolicy=Always"
_VARIABLE_TEXT = (
    "a valid environment variable name must consist only of printable ASCII characters other than '=' (e.g."
    " 'MY.ENV-NAME',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[!-<>-~]+')"
)
_ONE_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
_MANY_SOURCES = "may not have more than one field specified at a time"


def containers(spec: dict[str, Any], path: str, volumes: Volumes) -> list[FieldError]:
    """Containers and init containers of a pod's spec at `path`."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    if not spec.get("containers"):
        errors.append(FieldError.required(f"{path}.containers"))
    host = bool(spec.get("hostNetwork"))
    for kind in ("containers", "initContainers"):
        taken: set[str] = set()
        for i, container in enumerate(spec.get(kind) or ()):
            at = f"{path}.{kind}[{i}]"
            errors += _container(container, at, volumes, seen)
            errors += _host_ports(container.get("ports") or [], f"{at}.ports", taken, host)
            restarts = kind == "containers" or container.get("restartPolicy") == "Always"
            if not restarts:
                for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                    if container.get(field) is not None:
                        errors.append(FieldError.forbidden(f"{at}.{field}", _INIT_TEXT))
            else:
                errors += lifecycle(container.get("lifecycle") or {}, f"{at}.lifecycle")
                errors += probes(container, at)
            if container.get("restartPolicy") is not None:
                if kind == "containers":
                    text = "may not be set for non-init containers"
                    errors.append(FieldError.forbidden(f"{at}.restartPolicy", text))
                else:
                    errors += one_of(container["restartPolicy"], ("Always",), f"{at}.restartPolicy")
    return errors


def _container(container: dict[str, Any], path: str, volumes: Volumes, seen: set[str]) -> list[FieldError]:
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
    policies = ("File", "FallbackToLogsOnError")
    errors += one_of(container.get("terminationMessagePolicy"), policies, f"{path}.terminationMessagePolicy")
    errors += _ports(container.get("ports") or [], f"{path}.ports")
    errors += _env(container.get("env") or [], f"{path}.env")
    errors += _env_from(container.get("envFrom") or [], f"{path}.envFrom")
    mounts, devices = container.get("volumeMounts") or [], container.get("volumeDevices") or []
    errors += _mounts(mounts, f"{path}.volumeMounts", volumes, {d.get("devicePath") for d in devices})
    errors += _devices(devices, f"{path}.volumeDevices", volumes, mounts)
    errors += _resources(container.get("resources") or {}, f"{path}.resources")
    for policy in container.get("resizePolicy") or ():
        at = f"{path}.resizePolicy"
        errors += one_of(policy.get("resourceName"), ("cpu", "memory"), at)
        errors += one_of(policy.get("restartPolicy"), ("NotRequired", "RestartContainer"), at)
    return errors + _security(container.get("securityContext") or {}, f"{path}.securityContext")


def user_id(value: Any, path: str) -> list[FieldError]:
    """A user or group."""
    if value is None or 0 <= value <= 2**31 - 1:
        return []
    return [FieldError.invalid(path, value, "must be between 0 and 2147483647, inclusive")]


def _security(context: dict[str, Any], path: str) -> list[FieldError]:
    errors = user_id(context.get("runAsUser"), f"{path}.runAsUser")
    errors += user_id(context.get("runAsGroup"), f"{path}.runAsGroup")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(FieldError.invalid(path, context, text))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(FieldError.invalid(path, context, text))
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


def _host_ports(ports: list[dict[str, Any]], path: str, taken: set[str], host_network: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, port in enumerate(ports):
        number = port.get("hostPort")
        if not number:
            continue
        key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
        if key in taken:
            errors.append(FieldError.duplicate(f"{path}[{i}].hostPort", key))
        taken.add(key)
        if host_network and number != port.get("containerPort"):
            text = "must match `hostPort` when `hostNetwork` is true"
            errors.append(FieldError.invalid(f"{path}[{i}].containerPort", port.get("containerPort"), text))
    return errors


def _env(variables: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, variable in enumerate(variables):
        at = f"{path}[{i}]"
        name = variable.get("name", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif not re.fullmatch("[!-<>-~]+", name):
            errors.append(FieldError.invalid(f"{at}.name", name, _VARIABLE_TEXT))
        if variable.get("valueFrom") is not None:
            errors += _value_from(variable["valueFrom"], f"{at}.valueFrom", bool(variable.get("value")))
    return errors


def _value_from(source: dict[str, Any], path: str, has_value: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if source.get("fieldRef") is not None:
        errors += field_ref(source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS)
    if source.get("resourceFieldRef") is not None:
        errors += resource_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(kind)
        if reference is not None:
            errors += [
                FieldError.required(f"{path}.{kind}.{field}") for field in ("name", "key") if not reference.get(field)
            ]
    if not source:
        errors.append(FieldError.invalid(path, "", _ONE_SOURCE))
    if has_value and source:
        errors.append(FieldError.invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(source) > 1:
        errors.append(FieldError.invalid(path, "", _MANY_SOURCES))
    return errors


def _env_from(sources: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, source in enumerate(sources):
        at = f"{path}[{i}]"
        prefix = source.get("prefix", "")
        if prefix and not re.fullmatch("[!-<>-~]+", prefix):
            errors.append(FieldError.invalid(f"{at}.prefix", prefix, _VARIABLE_TEXT))
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        errors += [FieldError.required(f"{at}.{kind}.name") for kind in given if not source[kind].get("name")]
        if not given:
            errors.append(FieldError.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(FieldError.invalid(at, "", _MANY_SOURCES))
    return errors


def _mounts(mounts: list[dict[str, Any]], path: str, volumes: Volumes, devices: set[Any]) -> list[FieldError]:
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
        if target and target in devices:
            text = "must not already exist as a path in volumeDevices"
            errors.append(FieldError.invalid(f"{at}.mountPath", target, text))
        paths.add(target)
        errors += descending(mount.get("subPath", ""), f"{at}.subPath")
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                text = "subPathExpr and subPath are mutually exclusive"
                errors.append(FieldError.invalid(f"{at}.subPathExpr", mount["subPathExpr"], text))
            errors += descending(mount["subPathExpr"], f"{path}.subPathExpr")
        allowed = ("Bidirectional", "HostToContainer", "None")
        errors += one_of(mount.get("mountPropagation"), allowed, f"{at}.mountPropagation")
    return errors


def _devices(
    devices: list[dict[str, Any]], path: str, volumes: Volumes, mounts: list[dict[str, Any]]
) -> list[FieldError]:
    errors: list[FieldError] = []
    names: set[str] = set()
    paths: set[str] = set()
    for i, device in enumerate(devices):
        at, name, target = f"{path}[{i}]", device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        if name in names:
            errors.append(FieldError.invalid(f"{at}.name", name, "must be unique"))
        if name and name not in volumes:
            errors.append(FieldError.not_found(f"{at}.name", name))
        elif name and not {"persistentVolumeClaim", "ephemeral"} & volumes[name].keys():
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(FieldError.invalid(f"{at}.name", name, text))
        if not target:
            errors.append(FieldError.required(f"{at}.devicePath"))
        if target and target in paths:
            errors.append(FieldError.invalid(f"{at}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            errors.append(FieldError.invalid(f"{at}.devicePath", target, "can not contain backsteps ('..')"))
        if any(name == mount.get("name") for mount in mounts):
            errors.append(FieldError.invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if any(target == mount.get("mountPath") for mount in mounts):
            text = "must not already exist as a path in volumeMounts"
            errors.append(FieldError.invalid(f"{at}.devicePath", target, text))
        names.add(name)
        paths.add(target)
    return errors


def _resources(resources: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for kind, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            errors += _resource(name, value, f"{path}.{kind}[{name}]")
    for name, value in requests.items():
        if name in limits:
            if amount(value) > amount(limits[name]):
                text = f"must be less than or equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", value, text))
            elif not _overcommits(name) and amount(value) != amount(limits[name]):
                text = f"must be equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", value, text))
        elif not _overcommits(name):
            errors.append(FieldError.required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
    names = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in names) and not {"cpu", "memory"} & names:
        errors.append(FieldError.forbidden(path, "HugePages require cpu or memory"))
    return errors


def _resource(name: str, value: Any, path: str) -> list[FieldError]:
    errors = [FieldError.invalid(path, name, m) for m in is_qualified_name(name)]
    if "/" not in name:
        if not errors and name not in _STANDARD and not name.startswith("hugepages-"):
            text = "must be a standard resource type or fully qualified"
            errors.append(FieldError.invalid(path, name, text))
        if name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-"):
            errors.append(FieldError.invalid(path, name, "must be a standard resource for containers"))
    number = amount(value)
    if number < 0:
        errors.append(FieldError.invalid(path, value, "must be greater than or equal to 0"))
    elif number % 1 and "/" in name and not _native(name):
        errors.append(FieldError.invalid(path, value, "must be an integer"))
    return errors


_STANDARD = frozenset(
    """cpu memory ephemeral-storage requests.cpu requests.memory requests.ephemeral-storage limits.cpu limits.memory
    limits.ephemeral-storage pods resourcequotas services replicationcontrollers secrets configmaps
    persistentvolumeclaims storage requests.storage services.nodeports services.loadbalancers""".split()  # noqa: SIM905
)


def _native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def _overcommits(name: str) -> bool:
    return _native(name) and not name.startswith("hugepages-")
