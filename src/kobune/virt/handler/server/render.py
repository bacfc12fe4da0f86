"""What the guest agent told, as the objects of subresources.kubevirt.io. Pure. Source: KubeVirt's API reference."""

from typing import Any

from kobune.kube.client.objects import to_builtins
from kobune.virt.launcherproto.messages import Filesystems, GuestFilesystem, GuestInfo, GuestUser, Users

__all__ = ["filesystem_list", "guest_os_info", "user_list"]

API_VERSION = "subresources.kubevirt.io/v1"


def guest_os_info(info: GuestInfo) -> dict[str, Any]:
    """VirtualMachineInstanceGuestAgentInfo."""
    answer: dict[str, Any] = {
        "kind": "VirtualMachineInstanceGuestAgentInfo",
        "apiVersion": API_VERSION,
        "guestAgentVersion": info.agent_version,
        "supportedCommands": [{"name": name, "enabled": True} for name in info.supported_commands],
        "hostname": info.hostname,
        "os": to_builtins(info.os),
        "timezone": info.timezone,
        "userList": [_user(user) for user in info.users],
        "fsInfo": {"disks": [_filesystem(found) for found in info.filesystems]},
    }
    if info.fs_freeze is not None:
        answer["fsFreezeStatus"] = info.fs_freeze.value
    return answer


def user_list(users: Users) -> dict[str, Any]:
    """VirtualMachineInstanceGuestOSUserList."""
    return _list("VirtualMachineInstanceGuestOSUserList", [_user(user) for user in users.users])


def filesystem_list(found: Filesystems) -> dict[str, Any]:
    """VirtualMachineInstanceFileSystemList."""
    return _list("VirtualMachineInstanceFileSystemList", [_filesystem(item) for item in found.filesystems])


def _list(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": API_VERSION, "metadata": {}, "items": items}


def _user(user: GuestUser) -> dict[str, Any]:
    answer: dict[str, Any] = {"userName": user.user, "loginTime": user.login_time_s}
    return answer | ({"domain": user.domain} if user.domain else {})


def _filesystem(found: GuestFilesystem) -> dict[str, Any]:
    return {
        "diskName": found.name,
        "mountPoint": found.mountpoint,
        "fileSystemType": found.type,
        "usedBytes": found.used_bytes,
        "totalBytes": found.total_bytes,
        "disk": [{"serial": disk.serial, "busType": disk.bus} for disk in found.disks],
    }
