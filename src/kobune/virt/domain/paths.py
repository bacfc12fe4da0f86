"""Where things are inside of the launcher's container; virt-controller renders the mounts for exactly these places.

Owns: the paths of docs/flows/launcher.md. Volume names are DNS labels, so that joining them is safe.
"""

__all__ = [
    "CLOUD_INIT_SECRETS",
    "CONFIG_VOLUMES",
    "CONTAINER_DISKS",
    "EPHEMERAL_DISKS",
    "PRIVATE",
    "SERIAL_LOG",
    "SERIAL_SOCKET",
    "SOCKETS",
    "VMI_DISKS",
    "VNC_SOCKET",
]

PRIVATE = "/var/run/kubevirt-private"
SOCKETS = "/var/run/kubevirt/sockets"
CONTAINER_DISKS = "/var/run/kubevirt/container-disks"
EPHEMERAL_DISKS = "/var/run/kubevirt-ephemeral-disks"
VMI_DISKS = f"{PRIVATE}/vmi-disks"
CLOUD_INIT_SECRETS = f"{PRIVATE}/cloud-init"
CONFIG_VOLUMES = PRIVATE
"""Below it: config-map, secret, downward-api, sysprep, service-account, each with one folder per volume."""

SERIAL_SOCKET = f"{PRIVATE}/virt-serial0"
SERIAL_LOG = f"{PRIVATE}/virt-serial0-log"
VNC_SOCKET = f"{PRIVATE}/virt-vnc"
