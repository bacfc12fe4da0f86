"""The files of configMap, secret, downwardAPI and projected volumes. Pure; tokens and objects are given."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from kobune.api.core import (
    ConfigMap,
    DownwardAPIVolumeFile,
    KeyToPath,
    Pod,
    ProjectedVolumeSource,
    Secret,
    ServiceAccountTokenProjection,
    Volume,
)
from kobune.embedded.kubelet.environment import ConfigError, Dependencies, field_value, resource_value, secret_bytes

__all__ = ["FileContent", "TokenKey", "Tokens", "is_content_volume", "token_requests", "volume_files"]

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600
DEFAULT_TOKEN_LIFE_S = 3600

TokenKey = tuple[str, int]
"""(audience, lifetime in seconds)"""


@dataclass(frozen=True, slots=True)
class FileContent:
    """One file: its bytes and permission bits."""

    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Service account tokens by audience and lifetime."""

    by_key: Mapping[TokenKey, str] = field(default_factory=dict)


def is_content_volume(volume: Volume) -> bool:
    """Whether this module makes its files."""
    return any((volume.config_map, volume.secret, volume.projected, volume.downward_api))


def token_requests(pod: Pod) -> set[TokenKey]:
    """The tokens that the pod's projected volumes need."""
    return {
        _token_key(source.service_account_token)
        for volume in pod.spec.volumes
        if volume.projected
        for source in volume.projected.sources
        if source.service_account_token
    }


def volume_files(pod: Pod, volume: Volume, given: Dependencies, tokens: Tokens) -> dict[str, FileContent]:
    """Files by relative path; raises ConfigError, in Kubernetes' wording, when a required object or key is missing."""
    if volume.config_map is not None:
        config = volume.config_map
        data = _config_map_data(given.config_maps.get(config.name), config.name, pod, config.optional)
        return _select(data, config.items, config.default_mode, config.optional, "configmap", config.name)
    if volume.secret is not None:
        secret = volume.secret
        data = _secret_data(given.secrets.get(secret.secret_name), secret.secret_name, pod, secret.optional)
        return _select(data, secret.items, secret.default_mode, secret.optional, "secret", secret.secret_name)
    if volume.downward_api is not None:
        mode = _mode(volume.downward_api.default_mode)
        return _downward(pod, volume.downward_api.items, mode, given)
    if volume.projected is not None:
        return _projected(pod, volume.projected, given, tokens)
    return {}


def _projected(
    pod: Pod, projected: ProjectedVolumeSource, given: Dependencies, tokens: Tokens
) -> dict[str, FileContent]:
    files: dict[str, FileContent] = {}
    default = projected.default_mode
    for source in projected.sources:
        if source.config_map is not None:
            config = source.config_map
            data = _config_map_data(given.config_maps.get(config.name), config.name, pod, config.optional)
            files |= _select(data, config.items, default, config.optional, "configmap", config.name)
        if source.secret is not None:
            secret = source.secret
            data = _secret_data(given.secrets.get(secret.name), secret.name, pod, secret.optional)
            files |= _select(data, secret.items, default, secret.optional, "secret", secret.name)
        if source.downward_api is not None:
            files |= _downward(pod, source.downward_api.items, _mode(default), given)
        if source.service_account_token is not None:
            files[_safe(source.service_account_token.path)] = _token_file(pod, source.service_account_token, tokens)
        if source.cluster_trust_bundle is not None and not source.cluster_trust_bundle.optional:
            raise ConfigError("clusterTrustBundle sources are not supported by this node")
    return files


def _token_file(pod: Pod, source: ServiceAccountTokenProjection, tokens: Tokens) -> FileContent:
    token = tokens.by_key.get(_token_key(source))
    if token is None:
        raise ConfigError(f"no token of service account {pod.spec.service_account_name} yet")
    context = pod.spec.security_context
    # Readable by the pod's user alone: by its group when there is one, else by everybody when it is not root.
    users = {
        container.security_context.run_as_user
        for container in pod.spec.containers
        if container.security_context and container.security_context.run_as_user is not None
    }
    if context is not None and context.run_as_user is not None:
        users.add(context.run_as_user)
    if context is not None and context.fs_group is not None:
        return FileContent(token.encode(), 0o640)
    return FileContent(token.encode(), TOKEN_MODE if users <= {0} else DEFAULT_MODE)


def _token_key(source: ServiceAccountTokenProjection) -> TokenKey:
    return source.audience, source.expiration_seconds or DEFAULT_TOKEN_LIFE_S


def _config_map_data(found: ConfigMap | None, name: str, pod: Pod, optional: bool | None) -> dict[str, bytes]:
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'configmap "{name}" not found')
    text = {key: value.encode() for key, value in found.data.items()}
    return text | {key: base64.b64decode(value) for key, value in found.binary_data.items()}


def _secret_data(found: Secret | None, name: str, pod: Pod, optional: bool | None) -> dict[str, bytes]:
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'secret "{name}" not found')
    return {key: secret_bytes(found, key) for key in found.data}


def _select(
    data: Mapping[str, bytes], items: list[KeyToPath], mode: int | None, optional: bool | None, kind: str, name: str
) -> dict[str, FileContent]:
    if not items:
        return {key: FileContent(value, _mode(mode)) for key, value in data.items()}
    files: dict[str, FileContent] = {}
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise ConfigError(f"{kind} references non-existent {kind} key: {item.key} ({name})")
        files[_safe(item.path)] = FileContent(data[item.key], _mode(item.mode if item.mode is not None else mode))
    return files


def _downward(pod: Pod, items: list[DownwardAPIVolumeFile], mode: int, given: Dependencies) -> dict[str, FileContent]:
    files: dict[str, FileContent] = {}
    for item in items:
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, given)
        elif item.resource_field_ref is not None:
            text = resource_value(pod, pod.spec.containers[0], item.resource_field_ref, given)
        else:
            continue
        files[_safe(item.path)] = FileContent(text.encode(), mode if item.mode is None else item.mode)
    return files


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def _safe(path: str) -> str:
    """A path that stays inside its volume; the API refuses others, and a node does not trust that."""
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise ConfigError(f"invalid path {path!r} in a volume: it must be relative and without '..'")
    return path
