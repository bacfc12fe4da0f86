"""The Container Runtime Interface (v1) as Kobune uses it: typed calls, and a fake under the same contract."""

from kobune.host.cri.client import CriClient
from kobune.host.cri.types import (
    ContainerInfo,
    ContainerNotFound,
    ContainerState,
    CriError,
    CriRuntime,
    CriUnavailable,
    ExecResult,
    ImageInfo,
    ImageNotFound,
    SandboxInfo,
)

__all__ = [
    "ContainerInfo",
    "ContainerNotFound",
    "ContainerState",
    "CriClient",
    "CriError",
    "CriRuntime",
    "CriUnavailable",
    "ExecResult",
    "ImageInfo",
    "ImageNotFound",
    "SandboxInfo",
]
