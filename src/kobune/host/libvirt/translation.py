"""libvirt's errors and numbers in our words. Owns which of its errors may pass by themselves."""

from typing import Any

from kobune.host.libvirt.types import DomainNotFound, LibvirtError, LibvirtRefused, LibvirtUnavailable

__all__ = ["translated", "version_text"]


def translated(what: str, error: Any) -> LibvirtError:
    """Ours for libvirt's. Which is which is told by its error number."""
    import libvirt

    code: int = error.get_error_code() or 0
    message = f"{what}: {error.get_error_message() or error}"
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return DomainNotFound(message, code)
    unavailable = (
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_SYSTEM_ERROR,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INVALID_CONN,
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_AGENT_UNSYNCED,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
    )
    if code in unavailable:
        return LibvirtUnavailable(message, code)
    return LibvirtRefused(message, code)


def version_text(number: int) -> str:
    """libvirt writes 9.0.0 as 9000000."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
