"""Rules of probes and lifecycle hooks."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_port_name, is_port_number
from kobune.embedded.apiserver.validation.checks import non_negative, one_of, positive

__all__ = ["lifecycle", "probes"]

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_TIMES = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probes(container: dict[str, Any], path: str) -> list[FieldError]:
    """The probes of a container at `path`."""
    errors: list[FieldError] = []
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is None:
            continue
        at = f"{path}.{name}"
        errors += _handler(probe, at)
        for field in _TIMES:
            errors += non_negative(probe.get(field), f"{at}.{field}")
        grace = f"{at}.terminationGracePeriodSeconds"
        if name == "readinessProbe":
            if probe.get("terminationGracePeriodSeconds") is not None:
                text = "must not be set for readinessProbes"
                errors.append(FieldError.invalid(grace, probe["terminationGracePeriodSeconds"], text))
            continue
        errors += positive(probe.get("terminationGracePeriodSeconds"), grace)
        if probe.get("successThreshold", 1) != 1:
            errors.append(FieldError.invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def lifecycle(hooks: dict[str, Any], path: str) -> list[FieldError]:
    """What runs after the start and before the end of a container."""
    errors: list[FieldError] = []
    for name in ("postStart", "preStop"):
        if hooks.get(name) is not None:
            errors += _handler(hooks[name], f"{path}.{name}")
    return errors


def _handler(given: dict[str, Any], path: str) -> list[FieldError]:
    found = [name for name in _HANDLERS if given.get(name) is not None]
    if not found:
        return [FieldError.required(path, "must specify a handler type")]
    text = "may not specify more than 1 handler type"
    errors = [FieldError.forbidden(f"{path}.{extra}", text) for extra in found[1:]]
    action, at = given[found[0]], f"{path}.{found[0]}"
    match found[0]:
        case "exec":
            if not action.get("command"):
                errors.append(FieldError.required(f"{at}.command"))
        case "httpGet":
            if not action.get("path"):
                errors.append(FieldError.required(f"{at}.path"))
            errors += _port(action.get("port"), f"{at}.port")
            errors += one_of(action.get("scheme"), ("HTTP", "HTTPS"), f"{at}.scheme")
        case "tcpSocket" | "grpc":
            errors += _port(action.get("port"), f"{at}.port")
    return errors


def _port(port: Any, path: str) -> list[FieldError]:
    if isinstance(port, str):
        return [FieldError.invalid(path, port, m) for m in is_port_name(port)]
    return [FieldError.invalid(path, port or 0, m) for m in is_port_number(port or 0)]
