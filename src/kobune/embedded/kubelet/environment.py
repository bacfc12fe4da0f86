"""A container's environment. Pure: ConfigMaps, Secrets and Services are given.

Source: core/v1 EnvVar, the downward API's fields, `$(NAME)` expansion and the service variables of Kubernetes.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING

from kobune.api.core import ConfigMap, Container, EnvVar, Pod, ResourceFieldSelector, Secret, Service
from kobune.base.quantity import parse_quantity

__all__ = [
    "ConfigError",
    "Dependencies",
    "container_environment",
    "expand",
    "field_value",
    "resource_value",
    "secret_bytes",
]

_EXPANSION = re.compile(r"\$(\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.+)'\]$")


class ConfigError(Exception):
    """The container's configuration names something that is not there; the message is Kubernetes' wording."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The objects that a pod names, as far as they exist; what the node knows of itself and of the pod's addresses."""

    config_maps: Mapping[str, ConfigMap] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    services: Sequence[Service] = ()
    host_ip: str = ""
    pod_ips: tuple[str, ...] = ()
    node_name: str = ""
    node_allocatable: Mapping[str, str | int | float] = field(default_factory=dict)


def container_environment(pod: Pod, container: Container, given: Dependencies) -> list[tuple[str, str]]:
    """Variables in their order; raises ConfigError when a required ConfigMap, Secret or key is missing."""
    variables: dict[str, str] = {}
    if pod.spec.enable_service_links is not False:
        variables |= _service_variables(given.services)
    for source in container.env_from:
        if source.config_map_ref is not None:
            found = _config_map(pod, given, source.config_map_ref.name, source.config_map_ref.optional)
            data = dict(found.data) if found else {}
        elif source.secret_ref is not None:
            secret = _secret(pod, given, source.secret_ref.name, source.secret_ref.optional)
            data = {key: secret_bytes(secret, key).decode("utf-8", "replace") for key in secret.data} if secret else {}
        else:
            data = {}
        variables |= {source.prefix + key: value for key, value in sorted(data.items())}
    own: dict[str, str] = {}
    for variable in container.env:
        value = _variable(pod, container, variable, given, own | {k: v for k, v in variables.items() if k not in own})
        if value is not None:
            own[variable.name] = value
    return list((variables | own).items())


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; unknown names stay as they are, `$$` is a dollar."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return variables.get(match.group(2), match.group(0))

    return _EXPANSION.sub(replace, text)


def field_value(pod: Pod, path: str, given: Dependencies) -> str:
    """A field of the downward API; raises ConfigError for one that it does not offer."""
    match = _SUBSCRIPT.match(path)
    if match is not None:
        table = pod.metadata.labels if match.group(1) == "labels" else pod.metadata.annotations
        return table.get(match.group(2), "")
    if path in ("metadata.labels", "metadata.annotations"):
        table = pod.metadata.labels if path.endswith("labels") else pod.metadata.annotations
        return "\n".join(f'{key}="{_escape(value)}"' for key, value in sorted(table.items()))
    simple = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": given.host_ip,
        "status.hostIPs": given.host_ip,
        "status.podIP": given.pod_ips[0] if given.pod_ips else "",
        "status.podIPs": ",".join(given.pod_ips),
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return simple[path]


def resource_value(pod: Pod, container: Container, selector: ResourceFieldSelector, given: Dependencies) -> str:
    """A request or limit in units of the divisor, rounded up; a missing limit is what the node has."""
    if selector.container_name:
        named = [c for c in [*pod.spec.containers, *pod.spec.init_containers] if c.name == selector.container_name]
        if not named:
            raise ConfigError(f"container {selector.container_name} not found")
        container = named[0]
    kind, _, name = selector.resource.partition(".")
    if kind not in ("requests", "limits"):
        raise ConfigError(f"unsupported container resource : {selector.resource}")
    table = container.resources.requests if kind == "requests" else container.resources.limits
    amount = table.get(name)
    if amount is None and kind == "limits":
        amount = given.node_allocatable.get(name)
    divisor = parse_quantity(selector.divisor) or parse_quantity(1)
    return str(int((parse_quantity(amount or 0) / divisor).to_integral_value(ROUND_CEILING)))


def secret_bytes(secret: Secret, key: str) -> bytes:
    """One decoded value."""
    return base64.b64decode(secret.data[key])


def _variable(
    pod: Pod, container: Container, variable: EnvVar, given: Dependencies, known: Mapping[str, str]
) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, known)
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, given)
    if source.resource_field_ref is not None:
        return resource_value(pod, container, source.resource_field_ref, given)
    if source.config_map_key_ref is not None:
        reference = source.config_map_key_ref
        config_map = _config_map(pod, given, reference.name, reference.optional)
        if config_map is None or reference.key not in config_map.data:
            if reference.optional:
                return None
            where = f"{pod.metadata.namespace}/{reference.name}"
            raise ConfigError(f"couldn't find key {reference.key} in ConfigMap {where}")
        return config_map.data[reference.key]
    if source.secret_key_ref is not None:
        reference = source.secret_key_ref
        secret = _secret(pod, given, reference.name, reference.optional)
        if secret is None or reference.key not in secret.data:
            if reference.optional:
                return None
            where = f"{pod.metadata.namespace}/{reference.name}"
            raise ConfigError(f"couldn't find key {reference.key} in Secret {where}")
        return secret_bytes(secret, reference.key).decode("utf-8", "replace")
    return ""


def _config_map(pod: Pod, given: Dependencies, name: str, optional: bool | None) -> ConfigMap | None:
    if name not in given.config_maps and not optional:
        raise ConfigError(f'configmap "{name}" not found')
    return given.config_maps.get(name)


def _secret(pod: Pod, given: Dependencies, name: str, optional: bool | None) -> Secret | None:
    if name not in given.secrets and not optional:
        raise ConfigError(f'secret "{name}" not found')
    return given.secrets.get(name)


def _service_variables(services: Sequence[Service]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for service in services:
        address = service.spec.cluster_ip
        if not address or address == "None" or not service.spec.ports:
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        first = service.spec.ports[0]
        variables[f"{prefix}_SERVICE_HOST"] = address
        variables[f"{prefix}_SERVICE_PORT"] = str(first.port)
        for port in service.spec.ports:
            if port.name:
                variables[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        variables[f"{prefix}_PORT"] = f"{first.protocol.lower()}://{address}:{first.port}"
        for port in service.spec.ports:
            protocol = port.protocol.lower()
            stem = f"{prefix}_PORT_{port.port}_{port.protocol.upper()}"
            variables[stem] = f"{protocol}://{address}:{port.port}"
            variables[f"{stem}_PROTO"] = protocol
            variables[f"{stem}_PORT"] = str(port.port)
            variables[f"{stem}_ADDR"] = address
    return variables


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
