"""The files of cloud-init's NoCloud and ConfigDrive data sources for a VMI. Pure but for reading mounted secrets.

Sources: cloud-init's documentation of both data sources; the order of precedence is the API's (inline, base64,
secret). What the files say is the user's business: nothing is parsed or changed.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.api.kubevirt.volumes import CloudInitConfigDriveSource, CloudInitNoCloudSource
from kobune.virt.domain.document import InvalidSpec

__all__ = ["CONFIG_DRIVE_LABEL", "NO_CLOUD_LABEL", "ReadSecret", "config_drive_files", "host_name", "no_cloud_files"]

NO_CLOUD_LABEL = "cidata"
CONFIG_DRIVE_LABEL = "config-2"

ReadSecret = Callable[[str, tuple[str, ...]], bytes | None]
"""(`user` or `network`, names of keys) -> the first key's value that is there, or None."""


def host_name(vmi: VirtualMachineInstance) -> str:
    """The guest's host name: `spec.hostname` or the VMI's name up to its first dot, at most 63 characters."""
    return (vmi.spec.hostname or vmi.metadata.name.split(".")[0])[:63].rstrip("-")


def no_cloud_files(
    vmi: VirtualMachineInstance,
    source: CloudInitNoCloudSource,
    field: str,
    read_secret: ReadSecret,
    public_keys: Sequence[str] = (),
) -> dict[str, bytes]:
    """`meta-data`, `user-data` and, when asked for, `network-config`. `field` is the volume's path for errors."""
    metadata: dict[str, object] = {
        "instance-id": f"{vmi.metadata.name}.{vmi.metadata.namespace}",
        "local-hostname": host_name(vmi),
    }
    if public_keys:
        metadata["public-keys"] = {str(index): key for index, key in enumerate(public_keys)}
    files = {
        "meta-data": msgspec.json.encode(metadata) + b"\n",
        "user-data": _user_data(source, f"{field}.cloudInitNoCloud", read_secret) or b"",
    }
    network = _network_data(source, f"{field}.cloudInitNoCloud", read_secret)
    if network is not None:
        files["network-config"] = network
    return files


def config_drive_files(
    vmi: VirtualMachineInstance,
    source: CloudInitConfigDriveSource,
    field: str,
    read_secret: ReadSecret,
    public_keys: Sequence[str] = (),
    devices: Sequence[Mapping[str, object]] = (),
) -> dict[str, bytes]:
    """`openstack/latest/` with `meta_data.json`, `user_data` and, when asked for, `network_data.json`.

    `devices` are what tags tell (`tags.device_metadata`).
    """
    metadata: dict[str, object] = {
        "instance_id": f"{vmi.metadata.name}.{vmi.metadata.namespace}",
        "local_hostname": host_name(vmi),
        "hostname": host_name(vmi),
        "uuid": vmi.metadata.uid,
    }
    if public_keys:
        metadata["public_keys"] = {str(index): key for index, key in enumerate(public_keys)}
    if devices:
        metadata["devices"] = devices
    folder = "openstack/latest"
    files = {
        f"{folder}/meta_data.json": msgspec.json.encode(metadata) + b"\n",
        f"{folder}/user_data": _user_data(source, f"{field}.cloudInitConfigDrive", read_secret) or b"",
    }
    network = _network_data(source, f"{field}.cloudInitConfigDrive", read_secret)
    if network is not None:
        files[f"{folder}/network_data.json"] = network
    return files


def _user_data(
    source: CloudInitNoCloudSource | CloudInitConfigDriveSource, field: str, read_secret: ReadSecret
) -> bytes | None:
    if source.user_data:
        return source.user_data.encode()
    if source.user_data_base64:
        return _decoded(source.user_data_base64, f"{field}.userDataBase64")
    if source.secret_ref is not None:
        return _secret("user", ("userdata", "userData"), f"{field}.secretRef", read_secret)
    return None


def _network_data(
    source: CloudInitNoCloudSource | CloudInitConfigDriveSource, field: str, read_secret: ReadSecret
) -> bytes | None:
    if source.network_data:
        return source.network_data.encode()
    if source.network_data_base64:
        return _decoded(source.network_data_base64, f"{field}.networkDataBase64")
    if source.network_data_secret_ref is not None:
        return _secret("network", ("networkdata", "networkData"), f"{field}.networkDataSecretRef", read_secret)
    return None


def _secret(kind: str, keys: tuple[str, ...], field: str, read_secret: ReadSecret) -> bytes:
    value = read_secret(kind, keys)
    if value is None:
        raise InvalidSpec(field, f"the secret has no key {' or '.join(keys)}")
    return value


def _decoded(text: str, field: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise InvalidSpec(field, f"it is not base64: {error}") from error
