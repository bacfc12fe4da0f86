"""cdi.kubevirt.io: disks and where their content comes from."""

from kobune.api.cdi.datavolume import (
    DataVolumeBlankImage,
    DataVolumeCheckpoint,
    DataVolumeSource,
    DataVolumeSourceGCS,
    DataVolumeSourceHTTP,
    DataVolumeSourceImageIO,
    DataVolumeSourcePVC,
    DataVolumeSourceRef,
    DataVolumeSourceRegistry,
    DataVolumeSourceS3,
    DataVolumeSourceSnapshot,
    DataVolumeSourceUpload,
    DataVolumeSourceVDDK,
    DataVolumeSpec,
    PlatformOptions,
    StorageSpec,
)

__all__ = [
    "DataVolumeBlankImage",
    "DataVolumeCheckpoint",
    "DataVolumeSource",
    "DataVolumeSourceGCS",
    "DataVolumeSourceHTTP",
    "DataVolumeSourceImageIO",
    "DataVolumeSourcePVC",
    "DataVolumeSourceRef",
    "DataVolumeSourceRegistry",
    "DataVolumeSourceS3",
    "DataVolumeSourceSnapshot",
    "DataVolumeSourceUpload",
    "DataVolumeSourceVDDK",
    "DataVolumeSpec",
    "PlatformOptions",
    "StorageSpec",
]
