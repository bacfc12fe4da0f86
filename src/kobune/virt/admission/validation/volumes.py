"""Volumes: exactly one source each, complete, and of a size that fits into etcd."""

import base64
import binascii
from typing import Final

import msgspec

from kobune.api.kubevirt import (
    CloudInitConfigDriveSource,
    CloudInitNoCloudSource,
    HostDisk,
    VirtualMachineInstanceSpec,
    Volume,
)
from kobune.virt.admission.review import Reason
from kobune.virt.admission.validation.check import Findings, amount, check_path

__all__ = ["check_volumes"]

CLOUD_INIT_LIMIT_BYTES: Final = 2048


def check_volumes(findings: Findings, path: str, spec: VirtualMachineInstanceSpec) -> None:
    """All volumes of a specification at `path`."""
    base = f"{path}.volumes"
    seen: dict[str, int] = {}
    accounts = 0
    for index, volume in enumerate(spec.volumes):
        here = f"{base}[{index}]"
        if volume.name in seen:
            findings.add(f"{here}.name", f"{here} and {base}[{seen[volume.name]}] must not have the same Name.")
        seen.setdefault(volume.name, index)
        if len(_sources(volume)) != 1:
            findings.add(here, f"{here} must have exactly one source type set")
        accounts += volume.service_account is not None
        _source(findings, here, volume)
        for name, source in (
            ("cloudInitNoCloud", volume.cloud_init_no_cloud),
            ("cloudInitConfigDrive", volume.cloud_init_config_drive),
        ):
            if source is not None:
                _cloud_init(findings, f"{here}.{name}", source)
    for count, what in (
        (accounts, "serviceAccount"),
        (sum(volume.downward_metrics is not None for volume in spec.volumes), "downwardMetric"),
        (sum(volume.memory_dump is not None for volume in spec.volumes), "memory dump"),
    ):
        if count > 1:
            findings.add(base, f"{base} must have max one {what} volume set")


def _sources(volume: Volume) -> list[str]:
    return [name for name in msgspec.to_builtins(volume) if name != "name"]


def _source(findings: Findings, here: str, volume: Volume) -> None:
    if volume.data_volume is not None and not volume.data_volume.name:
        findings.required(f"{here}.name", "DataVolume 'name' must be set")
    if volume.container_disk is not None and volume.container_disk.path:
        check_path(findings, f"{here}.containerDisk", volume.container_disk.path)
    if volume.config_map is not None and not volume.config_map.name:
        findings.add(f"{here}.configMap.name", f"{here}.configMap.name is a required field")
    if volume.secret is not None and not volume.secret.secret_name:
        findings.add(f"{here}.secret.secretName", f"{here}.secret.secretName is a required field")
    if volume.service_account is not None and not volume.service_account.service_account_name:
        where = f"{here}.serviceAccount.serviceAccountName"
        findings.add(where, f"{where} is a required field")
    if volume.host_disk is not None:
        _host_disk(findings, here, volume.host_disk)
    if volume.downward_metrics is not None and "DownwardMetrics" not in findings.gates:
        findings.add(here, "downwardMetrics disks are not allowed: DownwardMetrics feature gate is not enabled.")
    if volume.sysprep is not None and volume.sysprep.config_map is not None and volume.sysprep.secret is not None:
        findings.add(f"{here}.sysprep", f"{here}.sysprep must have only one of configMap and secret")


def _host_disk(findings: Findings, here: str, disk: HostDisk) -> None:
    if "HostDisk" not in findings.gates:
        findings.add(here, "HostDisk feature gate is not enabled")
    if not disk.path:
        message = f"{here}.hostDisk.path is required for hostDisk volume"
        findings.add(f"{here}.hostDisk.path", message, Reason.NOT_FOUND)
    if disk.type not in ("Disk", "DiskOrCreate"):
        message = f"{here}.hostDisk.type has invalid value '{disk.type}', allowed are 'Disk' or 'DiskOrCreate'"
        findings.add(f"{here}.hostDisk.type", message)
    if disk.type == "Disk" and disk.capacity is not None and amount(disk.capacity) != 0:
        message = f"{here}.hostDisk.capacity is allowed to pass only with {here}.hostDisk.type equal to 'DiskOrCreate'"
        findings.add(f"{here}.hostDisk.capacity", message)


def _cloud_init(findings: Findings, here: str, source: CloudInitNoCloudSource | CloudInitConfigDriveSource) -> None:
    user_secret, network_secret = source.secret_ref, source.network_data_secret_ref
    # A reference without a name refers to nothing.
    user_name = user_secret.name if user_secret is not None else None
    network_name = network_secret.name if network_secret is not None else None
    user = [value for value in (source.user_data, source.user_data_base64, user_name) if value]
    network = [value for value in (source.network_data, source.network_data_base64, network_name) if value]
    if len(user) > 1:
        findings.add(here, f"{here} must have only one userdatasource set.")
    if len(network) > 1:
        findings.add(here, f"{here} must have only one networkdata source set.")
    if not user and not network:
        findings.add(here, f"{here} must have at least one userdatasource or one networkdatasource set.")
    for name, plain, encoded in (
        ("userdata", source.user_data, source.user_data_base64),
        ("networkdata", source.network_data, source.network_data_base64),
    ):
        field_name = {"userdata": "userDataBase64", "networkdata": "networkDataBase64"}[name]
        content = (plain or "").encode()
        if encoded:
            try:
                content = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                findings.add(f"{here}.{field_name}", f"{here}.{field_name} is not a valid base64 value.")
                continue
        if len(content) > CLOUD_INIT_LIMIT_BYTES:
            message = f"{here} {name} exceeds {CLOUD_INIT_LIMIT_BYTES} byte limit. Should use a Secret for larger data."
            findings.add(here, message)
