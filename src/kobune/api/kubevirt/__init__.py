"""kubevirt.io/v1 (and v1alpha3, which has the same shape): virtual machines, their instances and the installation.

The names that other packages use; the modules have the rest.
"""

from kobune.api.kubevirt.configuration import (
    KubeVirtConfiguration,
)
from kobune.api.kubevirt.credentials import (
    AccessCredential,
    SSHPublicKeyAccessCredential,
    UserPasswordAccessCredential,
)
from kobune.api.kubevirt.devices import (
    Devices,
    Disk,
    VGPUOptions,
)
from kobune.api.kubevirt.domain import (
    CPU,
    DomainSpec,
    Memory,
    ResourceRequirements,
)
from kobune.api.kubevirt.firmware import (
    KernelBootContainer,
)
from kobune.api.kubevirt.instance import (
    Probe,
    VirtualMachineInstance,
    VirtualMachineInstanceSpec,
    VirtualMachineInstanceTemplateSpec,
)
from kobune.api.kubevirt.kubevirt import (
    KubeVirt,
)
from kobune.api.kubevirt.migration import (
    VirtualMachineInstanceMigration,
)
from kobune.api.kubevirt.network import (
    Interface,
    Network,
)
from kobune.api.kubevirt.options import (
    EvacuateCancelOptions,
    ObjectGraphNode,
    ObjectGraphOptions,
    RestartOptions,
    StartOptions,
    StopOptions,
)
from kobune.api.kubevirt.permitted_devices import (
    InterfaceBindingPlugin,
    PermittedHostDevices,
    USBSelector,
)
from kobune.api.kubevirt.replicaset import (
    VirtualMachineInstancePreset,
    VirtualMachineInstanceReplicaSet,
)
from kobune.api.kubevirt.status import (
    VirtualMachineInstanceStatus,
    VolumeStatus,
)
from kobune.api.kubevirt.vm import (
    AddVolumeOptions,
    DataVolumeTemplateSpec,
    InstancetypeMatcher,
    InstancetypeStatusRef,
    PreferenceMatcher,
    RemoveVolumeOptions,
    VirtualMachine,
    VirtualMachineSpec,
    VirtualMachineStartFailure,
    VirtualMachineStateChangeRequest,
    VirtualMachineStatus,
)
from kobune.api.kubevirt.volumes import (
    CloudInitConfigDriveSource,
    CloudInitNoCloudSource,
    ContainerDiskSource,
    HostDisk,
    Volume,
)

__all__ = [
    "CPU",
    "AccessCredential",
    "AddVolumeOptions",
    "CloudInitConfigDriveSource",
    "CloudInitNoCloudSource",
    "ContainerDiskSource",
    "DataVolumeTemplateSpec",
    "Devices",
    "Disk",
    "DomainSpec",
    "EvacuateCancelOptions",
    "HostDisk",
    "InstancetypeMatcher",
    "InstancetypeStatusRef",
    "Interface",
    "InterfaceBindingPlugin",
    "KernelBootContainer",
    "KubeVirt",
    "KubeVirtConfiguration",
    "Memory",
    "Network",
    "ObjectGraphNode",
    "ObjectGraphOptions",
    "PermittedHostDevices",
    "PreferenceMatcher",
    "Probe",
    "RemoveVolumeOptions",
    "ResourceRequirements",
    "RestartOptions",
    "SSHPublicKeyAccessCredential",
    "StartOptions",
    "StopOptions",
    "USBSelector",
    "UserPasswordAccessCredential",
    "VGPUOptions",
    "VirtualMachine",
    "VirtualMachineInstance",
    "VirtualMachineInstanceMigration",
    "VirtualMachineInstancePreset",
    "VirtualMachineInstanceReplicaSet",
    "VirtualMachineInstanceSpec",
    "VirtualMachineInstanceStatus",
    "VirtualMachineInstanceTemplateSpec",
    "VirtualMachineSpec",
    "VirtualMachineStartFailure",
    "VirtualMachineStateChangeRequest",
    "VirtualMachineStatus",
    "Volume",
    "VolumeStatus",
]
