"""export.kubevirt.io: downloads of disks."""

from kobune.api.export.types import (
    Condition,
    VirtualMachineExport,
    VirtualMachineExportBackup,
    VirtualMachineExportBackupEndpoint,
    VirtualMachineExportLink,
    VirtualMachineExportLinks,
    VirtualMachineExportManifest,
    VirtualMachineExportSpec,
    VirtualMachineExportStatus,
    VirtualMachineExportVolume,
    VirtualMachineExportVolumeFormat,
)

__all__ = [
    "Condition",
    "VirtualMachineExport",
    "VirtualMachineExportBackup",
    "VirtualMachineExportBackupEndpoint",
    "VirtualMachineExportLink",
    "VirtualMachineExportLinks",
    "VirtualMachineExportManifest",
    "VirtualMachineExportSpec",
    "VirtualMachineExportStatus",
    "VirtualMachineExportVolume",
    "VirtualMachineExportVolumeFormat",
]
