"""The launcher's directories as paths, so that tests can put them anywhere."""

from dataclasses import dataclass
from pathlib import Path

from kobune.virt.domain import paths

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """By default those of the container; see docs/flows/launcher.md."""

    sockets: Path = Path(paths.SOCKETS)
    private: Path = Path(paths.PRIVATE)
    ephemeral_disks: Path = Path(paths.EPHEMERAL_DISKS)
    container_disks: Path = Path(paths.CONTAINER_DISKS)
    filesystem_sockets: Path = Path(paths.FILESYSTEM_SOCKETS)
    kernel_boot: Path = Path(paths.KERNEL_BOOT)
    devices: Path = Path("/dev")
    hotplug_disks: Path = Path(paths.HOTPLUG_DISKS)
    hotplug_devices: Path = Path(paths.HOTPLUG_DEVICES)
    serial_log: Path = Path(paths.SERIAL_LOG)
    tpm_states: Path = Path("/var/run/libvirt/config/libvirt/qemu/swtpm")
    """Where libvirt keeps the state of TPMs, one folder per domain's uuid."""
    qemu_logs: Path = Path("/var/run/libvirt/cache/libvirt/qemu/log")
    termination_log: Path = Path("/dev/termination-log")

    @property
    def vmi_disks(self) -> Path:
        """Where persistent volumes and host disks are mounted."""
        return self.private / "vmi-disks"

    @property
    def cloud_init_secrets(self) -> Path:
        """Where the secrets of cloud-init volumes are mounted."""
        return self.private / "cloud-init"

    @property
    def access_credentials(self) -> Path:
        """Where the secrets of access credentials are mounted, by index."""
        return self.private / "access-credentials"

    @property
    def vm_state(self) -> Path:
        """Where the claim of the machine's own state is mounted, if it has one."""
        return self.private / "vm-state"

    @property
    def vmi(self) -> Path:
        """The VMI as it was synchronised last, for the next launcher process."""
        return self.private / "vmi.json"

    @property
    def journal(self) -> Path:
        """See the module journal."""
        return self.private / "launcher-state.json"
