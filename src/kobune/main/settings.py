"""Where this instance keeps its things and on which addresses its parts listen.

Owns the data directory's layout (docs/adr/0001-processes-and-paths.md); creates nothing but directories.
"""

import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from kobune.base.errors import TerminalError

__all__ = ["NAMESPACE", "Settings", "SettingsError", "default_data_dir", "parse_listen"]

NAMESPACE = "kobune"


class SettingsError(TerminalError):
    """A setting is unusable; the message names the option and the fix."""


def default_data_dir() -> Path:
    """`/var/lib/kobune` for root, else `$XDG_STATE_HOME/kobune`."""
    if os.geteuid() == 0:
        return Path("/var/lib/kobune")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "kobune"


def parse_listen(text: str) -> tuple[str, int]:
    """Split `ADDRESS:PORT` (`[::1]:6443` for IPv6).

    Raises SettingsError when the address is no IP address or the port is out of range.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
        number = int(port)
    except ValueError:
        number = -1
    if not separator or not 0 <= number <= 65535:
        raise SettingsError(f"--listen {text}: give ADDRESS:PORT, for example 127.0.0.1:6443")
    return host, number


@dataclass(frozen=True, slots=True)
class Settings:
    """One instance. `ports` of the inner components are fixed per instance so that clients survive restarts."""

    data_dir: Path
    listen_host: str = "127.0.0.1"
    listen_port: int = 6443
    node_name: str = ""
    pod_subnet: str = "10.42.0.0/24"
    """An IPv4 network; with an IPv6 network after a comma, pods have addresses of both."""
    virt_api_port: int = 8443
    virt_handler_port: int = 8186
    kubelet_port: int = 10250
    control_plane_only: bool = False
    image_cache: Path | None = None
    launcher_image: str = ""
    more_images: tuple[str, ...] = ()
    audit_log: Path | None = None

    @property
    def images_dir(self) -> Path:
        """Where built images are kept; instances may share one."""
        return self.image_cache or self.data_dir / "images"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.data_dir / "kubeconfig"

    @property
    def run_dir(self) -> Path:
        """Pid files, the lock and containerd's socket."""
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        """One log file per component."""
        return self.data_dir / "logs"

    @property
    def node(self) -> str:
        """The Node's name: as given, else this machine's host name in lower case."""
        return self.node_name or socket.gethostname().split(".")[0].lower()

    @property
    def handler_state_dir(self) -> Path:
        """What virt-handler must find again after a restart."""
        return self.data_dir / "components" / "virt-handler" / "state"

    def component_arguments(self) -> tuple[str, ...]:
        """This instance as the flags of `kobune component`."""
        flags = (
            f"--data-dir={self.data_dir}",
            f"--listen-host={self.listen_host}",
            f"--listen-port={self.listen_port}",
            f"--node-name={self.node}",
            f"--pod-subnet={self.pod_subnet}",
            f"--virt-api-port={self.virt_api_port}",
            f"--virt-handler-port={self.virt_handler_port}",
            f"--kubelet-port={self.kubelet_port}",
            f"--launcher-image={self.launcher_image}",
        )
        audit = (f"--audit-log={self.audit_log}",) if self.audit_log else ()
        return (*flags, *audit, *(("--control-plane-only",) if self.control_plane_only else ()))

    def component_kubeconfig(self, name: str) -> Path:
        """The kubeconfig with the least rights that component needs."""
        return self.data_dir / "components" / name / "kubeconfig"

    @property
    def volumes_dir(self) -> Path:
        """The data of volumes of the class `local`."""
        return self.data_dir / "volumes"

    @property
    def dns_dir(self) -> Path:
        """The files of the pods' DNS server, which reads them as an unprivileged user."""
        return self.data_dir / "dns"

    @property
    def kubelet_serving_files(self) -> tuple[Path, Path]:
        """(certificate, key) of the kubelet's server."""
        directory = self.data_dir / "components" / "kubelet"
        return directory / "serving.crt", directory / "serving.key"

    def prepare(self) -> None:
        """Create the directories, private to the owner. Raises SettingsError when that is not possible."""
        for path in (self.data_dir, self.run_dir, self.logs_dir, self.data_dir / "components"):
            try:
                path.mkdir(mode=0o755 if path == self.data_dir else 0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise SettingsError(f"--data-dir {self.data_dir} cannot be used: {path}: {error.strerror}") from error
