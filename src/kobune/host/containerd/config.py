"""Where an own containerd keeps its things, and its configuration file. Pure."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["NAMESPACE", "ContainerdConfig", "render_config"]

NAMESPACE = "k8s.io"
"""The containerd namespace of everything that CRI manages."""

PAUSE_IMAGE = "kobune.io/pause:latest"

_UNUSED_PLUGINS = (
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
)


@dataclass(frozen=True, slots=True)
class ContainerdConfig:
    """One instance. `root` survives a reboot, `state` does not matter after one; the socket's path must be short."""

    root: Path
    state: Path
    socket: Path
    pid_file: Path
    log_file: Path
    config_file: Path
    cni_conf_dir: Path
    cni_bin_dir: Path = Path("/usr/lib/cni")
    pause_image: str = PAUSE_IMAGE
    restrict_oom_score_adj: bool = False

    @classmethod
    def for_data_dir(cls, data_dir: Path, *, pause_image: str = PAUSE_IMAGE) -> "ContainerdConfig":
        """The layout of Kobune's data directory (docs/adr/0001-processes-and-paths.md)."""
        return cls(
            root=data_dir / "containerd",
            state=data_dir / "run" / "containerd",
            socket=data_dir / "run" / "containerd.sock",
            pid_file=data_dir / "run" / "containerd.pid",
            log_file=data_dir / "logs" / "containerd.log",
            config_file=data_dir / "containerd" / "config.toml",
            cni_conf_dir=data_dir / "cni" / "net.d",
            pause_image=pause_image,
        )

    @property
    def network_namespaces(self) -> Path:
        """Where the network namespaces of its sandboxes are."""
        return self.state / "io.containerd.grpc.v1.cri" / "netns"


def render_config(config: ContainerdConfig) -> str:
    """The configuration file, in containerd's version 2 format.

    AppArmor is off because it needs a loaded profile; cgroups are driven directly, as systemd may not be there.
    `restrict_oom_score_adj` is needed where the capability to lower scores (CAP_SYS_RESOURCE) is missing.
    """
    unused = ", ".join(_quote(plugin) for plugin in _UNUSED_PLUGINS)
    return f"""version = 2
root = {_quote(config.root)}
state = {_quote(config.state)}
disabled_plugins = [{unused}]

[grpc]
  address = {_quote(config.socket)}

[debug]
  address = ""
  level = "info"

[plugins."io.containerd.internal.v1.opt"]
  path = {_quote(config.root / "opt")}

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {_quote(config.pause_image)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  stream_idle_timeout = "4h0m0s"
  enable_selinux = false
  disable_apparmor = true
  restrict_oom_score_adj = {_bool(config.restrict_oom_score_adj)}
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  device_ownership_from_security_context = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {_quote(config.cni_bin_dir)}
    conf_dir = {_quote(config.cni_conf_dir)}
    max_conf_num = 1
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def _quote(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _bool(value: bool) -> str:
    return "true" if value else "false"
