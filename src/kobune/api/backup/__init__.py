"""backup.kubevirt.io/v1alpha1: backups by changed blocks."""

from kobune.api.backup.types import (
    BackupCheckpoint,
    BackupOptions,
    BackupVolumeInfo,
    VirtualMachineBackup,
    VirtualMachineBackupSpec,
    VirtualMachineBackupStatus,
)

__all__ = [
    "BackupCheckpoint",
    "BackupOptions",
    "BackupVolumeInfo",
    "VirtualMachineBackup",
    "VirtualMachineBackupSpec",
    "VirtualMachineBackupStatus",
]
