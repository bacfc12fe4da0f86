"""The containers that share volumes with the guest by virtiofs, one per volume (docs/flows/launcher.md).

Owns: how such a container is run: as QEMU's user, without capabilities, with nothing of the pod but its volume and the
folder of the sockets. virtiofsd ends when QEMU leaves it.
"""

from typing import Any, Final

from kobune.api.kubevirt import VirtualMachineInstanceSpec
from kobune.virt.domain.devices.filesystem import socket_path
from kobune.virt.domain.paths import FILESYSTEM_SOCKETS

__all__ = ["SOCKETS_VOLUME", "filesystem_containers"]

SOCKETS_VOLUME: Final = "virtiofs-containers"
VIRTIOFSD: Final = "/usr/libexec/virtiofsd"
MEMORY: Final = "80Mi"
CPU: Final = "10m"


def filesystem_containers(
    spec: VirtualMachineInstanceSpec,
    mounts: dict[str, dict[str, Any]],
    *,
    image: str,
    image_pull_policy: str,
    user: int,
) -> list[dict[str, Any]]:
    """A container per file system; `mounts` has the mount of each volume."""
    return [
        _container(each.name, mounts[each.name], image, image_pull_policy, user, _resources(spec))
        for each in spec.domain.devices.filesystems
        if each.name in mounts
    ]


def _container(
    volume: str, mount: dict[str, Any], image: str, image_pull_policy: str, user: int, resources: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": f"virtiofs-{volume}",
        "image": image,
        "imagePullPolicy": image_pull_policy,
        "command": [
            VIRTIOFSD,
            f"--socket-path={socket_path(volume)}",
            f"--shared-dir={mount['mountPath']}",
            # The container is the cage; a further one would need capabilities.
            "--sandbox=none",
            "--cache=auto",
            "--rlimit-nofile=0",
        ],
        "resources": resources,
        "volumeMounts": [mount, {"name": SOCKETS_VOLUME, "mountPath": FILESYSTEM_SOCKETS}],
        "securityContext": {
            "runAsUser": user,
            "runAsGroup": user,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _resources(spec: VirtualMachineInstanceSpec) -> dict[str, Any]:
    limits = {"memory": MEMORY, "cpu": "100m"}
    cpu = spec.domain.cpu
    if cpu is not None and cpu.dedicated_cpu_placement:
        # The pod must be Guaranteed to get CPUs of its own.
        return {"requests": dict(limits), "limits": limits}
    return {"requests": {"memory": "20Mi", "cpu": CPU}, "limits": {"memory": MEMORY}}
