"""What must be there before anything is started: rights, programs, a free port. Changes nothing."""

import errno
import os
import shutil
import socket
from pathlib import Path

from kobune.base.errors import TerminalError

__all__ = ["PreflightError", "check_node", "check_port"]

PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ctr": "containerd",
    "nft": "nftables",
    "ip": "iproute2",
    "dnsmasq": "dnsmasq-base",
    "nsenter": "util-linux",
    "mount": "mount",
}
CNI_BIN_DIR = Path("/usr/lib/cni")


class PreflightError(TerminalError):
    """Something that Kobune needs is missing; the message says how to get it."""


def check_port(host: str, port: int) -> None:
    """Raise PreflightError when `host:port` can't be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise PreflightError(
                f"--listen {host}:{port} {reason}; choose another with --listen ADDRESS:PORT"
            ) from None


def check_node() -> None:
    """Raise PreflightError unless this machine can run pods."""
    if os.geteuid() != 0:
        raise PreflightError("running pods needs root: use sudo, or --control-plane-only for the API alone")
    missing = {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    if not (CNI_BIN_DIR / "bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        raise PreflightError(f"programs are missing: apt-get install -y {' '.join(sorted(missing))}")
