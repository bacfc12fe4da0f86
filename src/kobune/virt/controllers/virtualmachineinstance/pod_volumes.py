"""Volumes of the launcher pod: what each volume of a VirtualMachineInstance becomes (docs/flows/launcher.md)."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from kobune.api.kubevirt import (
    CloudInitConfigDriveSource,
    CloudInitNoCloudSource,
    ContainerDiskSource,
    HostDisk,
    KernelBootContainer,
    VirtualMachineInstanceSpec,
    Volume,
)
from kobune.virt.controllers.virtualmachineinstance.filesystems import SOCKETS_VOLUME
from kobune.virt.domain.hotplug import held_volumes
from kobune.virt.domain.paths import FILESYSTEM_SOCKETS

__all__ = ["PodVolumes", "pod_volumes"]

PRIVATE: Final = "/var/run/kubevirt-private"
CONTAINER_DISKS: Final = "/var/run/kubevirt/container-disks"
VM_STATE: Final = f"{PRIVATE}/vm-state"
KERNEL_BOOT: Final = "/var/run/kubevirt/kernel-boot"
ACCESS_CREDENTIALS: Final = f"{PRIVATE}/access-credentials"


@dataclass(slots=True)
class PodVolumes:
    """Volumes, mounts and block devices, and what else of the pod the volumes decide."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[dict[str, Any]] = field(default_factory=list)
    devices: list[dict[str, Any]] = field(default_factory=list)
    pull_secrets: list[str] = field(default_factory=list)
    service_account: str = ""
    block_claims: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()
    """Volumes that containers of their own share with the guest; the launcher does not see them."""
    shared_mounts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def mount(self, name: str, source: dict[str, Any], path: str, *, read_only: bool = False) -> None:
        """Add a volume and its mount."""
        self.volumes.append({"name": name, **source})
        mount = {"name": name, "mountPath": path, **({"readOnly": True} if read_only else {})}
        if name in self.shared:
            self.shared_mounts[name] = mount
        else:
            self.mounts.append(mount)


def pod_volumes(
    spec: VirtualMachineInstanceSpec, block_claims: frozenset[str] = frozenset(), *, state_claim: str = ""
) -> PodVolumes:
    """Everything that the launcher of `spec` mounts; `block_claims` become devices.

    `state_claim` is the claim for the state of its own that the guest keeps, if it keeps any.
    """
    shared = frozenset(each.name for each in spec.domain.devices.filesystems)
    found = PodVolumes(block_claims=block_claims, shared=shared)
    found.mount("sockets", {"emptyDir": {}}, "/var/run/kubevirt/sockets")
    found.mount("private", {"emptyDir": {}}, PRIVATE)
    found.mount("ephemeral-disks", {"emptyDir": {}}, "/var/run/kubevirt-ephemeral-disks")
    found.mount("libvirt-runtime", {"emptyDir": {}}, "/var/run/libvirt")
    if spec.domain.memory is not None and spec.domain.memory.hugepages is not None:
        # libvirt looks for the mounted file system when it starts.
        size = spec.domain.memory.hugepages.page_size or "2Mi"
        found.mount("hugepages", {"emptyDir": {"medium": f"HugePages-{size}"}}, "/dev/hugepages")
    if shared:
        found.mount(SOCKETS_VOLUME, {"emptyDir": {}}, FILESYSTEM_SOCKETS)
    if state_claim:
        found.mount("vm-state", {"persistentVolumeClaim": {"claimName": state_claim}}, VM_STATE)
    plugged = held_volumes(spec)
    for volume in spec.volumes:
        if volume.name not in plugged:
            _add(found, volume)
    _kernel_boot(found, spec)
    _access_credentials(found, spec)
    return found


def _add(found: PodVolumes, volume: Volume) -> None:
    name = volume.name
    if volume.container_disk is not None:
        _container_disk(found, name, volume.container_disk)
    elif volume.persistent_volume_claim is not None:
        _claim(found, name, volume.persistent_volume_claim.claim_name)
    elif volume.data_volume is not None:
        _claim(found, name, volume.data_volume.name)
    elif volume.ephemeral is not None and volume.ephemeral.persistent_volume_claim is not None:
        _claim(found, name, volume.ephemeral.persistent_volume_claim.claim_name, read_only=True)
    elif volume.host_disk is not None:
        _host_disk(found, name, volume.host_disk)
    elif volume.cloud_init_no_cloud is not None:
        _cloud_init(found, name, volume.cloud_init_no_cloud)
    elif volume.cloud_init_config_drive is not None:
        _cloud_init(found, name, volume.cloud_init_config_drive)
    else:
        _files(found, volume)


def _kernel_boot(found: PodVolumes, spec: VirtualMachineInstanceSpec) -> None:
    firmware = spec.domain.firmware
    boot = firmware.kernel_boot if firmware is not None else None
    if boot is not None and boot.container is not None:
        _image(found, "kernel-boot", boot.container, KERNEL_BOOT)


def _access_credentials(found: PodVolumes, spec: VirtualMachineInstanceSpec) -> None:
    for index, credential in enumerate(spec.access_credentials):
        sources = (credential.ssh_public_key, credential.user_password)
        secret = next((each.source.secret for each in sources if each is not None and each.source.secret), None)
        if secret is not None:
            found.mount(
                f"access-credential-{index}",
                {"secret": {"secretName": secret.secret_name}},
                f"{ACCESS_CREDENTIALS}/{index}",
                read_only=True,
            )


def _container_disk(found: PodVolumes, name: str, disk: ContainerDiskSource) -> None:
    _image(found, name, disk, f"{CONTAINER_DISKS}/{name}")


def _image(found: PodVolumes, name: str, disk: ContainerDiskSource | KernelBootContainer, path: str) -> None:
    source: dict[str, Any] = {"reference": disk.image}
    if disk.image_pull_policy:
        source["pullPolicy"] = disk.image_pull_policy
    found.mount(name, {"image": source}, path, read_only=True)
    if disk.image_pull_secret and disk.image_pull_secret not in found.pull_secrets:
        found.pull_secrets.append(disk.image_pull_secret)


def _claim(found: PodVolumes, name: str, claim: str, *, read_only: bool = False) -> None:
    source: dict[str, Any] = {"claimName": claim}
    if read_only:
        source["readOnly"] = True
    if claim in found.block_claims:
        found.volumes.append({"name": name, "persistentVolumeClaim": source})
        found.devices.append({"name": name, "devicePath": f"/dev/{name}"})
        return
    found.mount(name, {"persistentVolumeClaim": source}, f"{PRIVATE}/vmi-disks/{name}", read_only=read_only)


def _host_disk(found: PodVolumes, name: str, disk: HostDisk) -> None:
    folder, _, _ = disk.path.rpartition("/")
    kind = "DirectoryOrCreate" if disk.type == "DiskOrCreate" else "Directory"
    found.mount(name, {"hostPath": {"path": folder or "/", "type": kind}}, f"{PRIVATE}/vmi-disks/{name}")


def _cloud_init(found: PodVolumes, name: str, source: CloudInitNoCloudSource | CloudInitConfigDriveSource) -> None:
    for suffix, folder, reference in (
        ("udata", "user", source.secret_ref),
        ("ndata", "network", source.network_data_secret_ref),
    ):
        if reference is not None:
            found.mount(
                f"{name}-{suffix}",
                {"secret": {"secretName": reference.name}},
                f"{PRIVATE}/cloud-init/{name}/{folder}",
                read_only=True,
            )


def _account_files() -> list[dict[str, Any]]:
    """What a pod finds of its service account: with the token alone a guest could not know whom to trust with it."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return [
        # The lifetime with which API servers know tokens that are read once, and let them live longer.
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]


def _files(found: PodVolumes, volume: Volume) -> None:
    """Volumes whose files become an ISO image or a shared file system."""
    name = volume.name
    if volume.config_map is not None:
        source: dict[str, Any] = {"name": volume.config_map.name}
        if volume.config_map.optional is not None:
            source["optional"] = volume.config_map.optional
        found.mount(name, {"configMap": source}, f"{PRIVATE}/config-map/{name}", read_only=True)
    elif volume.secret is not None:
        source = {"secretName": volume.secret.secret_name}
        if volume.secret.optional is not None:
            source["optional"] = volume.secret.optional
        found.mount(name, {"secret": source}, f"{PRIVATE}/secret/{name}", read_only=True)
    elif volume.downward_api is not None:
        source = {"items": msgspec.to_builtins(volume.downward_api.fields)}
        found.mount(name, {"downwardAPI": source}, f"{PRIVATE}/downward-api/{name}", read_only=True)
    elif volume.sysprep is not None:
        if volume.sysprep.config_map is not None:
            source = {"configMap": {"name": volume.sysprep.config_map.name}}
        elif volume.sysprep.secret is not None:
            source = {"secret": {"secretName": volume.sysprep.secret.name}}
        else:
            return
        found.mount(name, source, f"{PRIVATE}/sysprep/{name}", read_only=True)
    elif volume.service_account is not None:
        found.service_account = volume.service_account.service_account_name or ""
        found.mount(
            name,
            {"projected": {"sources": _account_files()}},
            f"{PRIVATE}/service-account/{name}",
            read_only=True,
        )
