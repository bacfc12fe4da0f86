"""Where things are inside of the launcher's container; virt-controller renders the mounts for exactly these places.

Owns: the paths of docs/flows/launcher.md. Volume names are DNS labels, so that joining them is safe.
"""

__all__ = [
    "ACCESS_CREDENTIALS",
    "CONTAINER_DISKS",
    "EPHEMERAL_DISKS",
    "FILESYSTEM_SOCKETS",
    "HOTPLUG_DEVICES",
    "HOTPLUG_DISKS",
    "KERNEL_BOOT",
    "METRICS_SOCKET",
    "PRIVATE",
    "SECRETS",
    "SERIAL_LOG",
    "SERIAL_SOCKET",
    "SOCKETS",
    "USB_REDIRECTION_SLOTS",
    "USB_REDIRECTION_SOCKET",
    "VM_STATE",
    "VNC_SOCKET",
]

PRIVATE = "/var/run/kubevirt-private"
"""Below it, besides what is named here: config-map, secret, downward-api, sysprep and service-account, each with one
folder per volume."""

SOCKETS = "/var/run/kubevirt/sockets"
CONTAINER_DISKS = "/var/run/kubevirt/container-disks"
EPHEMERAL_DISKS = "/var/run/kubevirt-ephemeral-disks"
VM_STATE = f"{PRIVATE}/vm-state"
"""What must outlive the pod, on a claim of the machine: `nvram/` (EFI variables) and `swtpm/` (the TPM)."""

ACCESS_CREDENTIALS = f"{PRIVATE}/access-credentials"
"""Below it: one folder per entry of `spec.accessCredentials`, by its index: the secret's keys."""

HOTPLUG_DISKS = "/run/kubevirt/hotplug-disks"
"""Below it: one folder per plugged volume with a file system; virt-handler mounts and unmounts it.
No part of it is a symbolic link, so that the kernel lists its mounts by this path."""

HOTPLUG_DEVICES = "/dev/hotplug"
"""Below it: one block device per plugged volume without one."""

FILESYSTEM_SOCKETS = "/var/run/kubevirt/virtiofs-containers"
"""Below it: `VOLUME.sock`, on which the container that shares the volume waits for QEMU."""

KERNEL_BOOT = "/var/run/kubevirt/kernel-boot"

SECRETS = f"{PRIVATE}/secret"
"""Below it: one folder per volume of a secret."""

SERIAL_SOCKET = f"{PRIVATE}/virt-serial0"
SERIAL_LOG = f"{PRIVATE}/virt-serial0-log"
METRICS_SOCKET = f"{PRIVATE}/virt-metrics"
VNC_SOCKET = f"{PRIVATE}/virt-vnc"
USB_REDIRECTION_SLOTS = 4
USB_REDIRECTION_SOCKET = "virt-usbredir-"
"""Below PRIVATE, followed by a number from 0 on."""
