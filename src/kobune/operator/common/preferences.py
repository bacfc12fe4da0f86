"""Preferences for the guests that people run most, by the names that users of KubeVirt know.

Owns: which devices such a guest has drivers for, and what its vendor says it needs at least. A preference sets only
what a machine leaves open.
"""

from typing import Any, Final

from kobune.operator.names import COMMON, VENDOR

__all__ = ["preferences"]

Manifest = dict[str, Any]

_VIRTIO: Final[dict[str, Any]] = {"preferredDiskBus": "virtio", "preferredInterfaceModel": "virtio"}
_LINUX: Final[dict[str, Any]] = {"devices": {**_VIRTIO, "preferredRng": {}}}
_DESKTOP: Final[dict[str, Any]] = {"preferredInputBus": "virtio", "preferredInputType": "tablet"}

# What a system has in its installation medium; virtio drivers come later, if at all.
_WINDOWS_DEVICES: Final[dict[str, Any]] = {
    "preferredDiskBus": "sata",
    "preferredInterfaceModel": "e1000e",
    "preferredInputBus": "usb",
    "preferredInputType": "tablet",
}
_WINDOWS: Final[dict[str, Any]] = {
    "clock": {
        "preferredClockOffset": {"utc": {}},
        "preferredTimer": {
            "hpet": {"present": False},
            "hyperv": {},
            "pit": {"tickPolicy": "delay"},
            "rtc": {"tickPolicy": "catchup"},
        },
    },
    "cpu": {"preferredCPUTopology": "sockets"},
    "features": {
        "preferredAcpi": {},
        "preferredApic": {},
        "preferredHyperv": {
            "frequencies": {},
            "ipi": {},
            "reenlightenment": {},
            "relaxed": {},
            "reset": {},
            "runtime": {},
            "spinlocks": {"spinlocks": 8191},
            "synic": {},
            "synictimer": {"direct": {}},
            "tlbflush": {},
            "vapic": {},
            "vpindex": {},
        },
    },
    "preferredTerminationGracePeriodSeconds": 3600,
}

_LINUXES: Final = (
    ("alpine", "Alpine Linux", 1, "512Mi"),
    ("centos.stream9", "CentOS Stream 9", 1, "1536Mi"),
    ("centos.stream10", "CentOS Stream 10", 1, "2Gi"),
    ("cirros", "CirrOS", 1, "256Mi"),
    ("debian", "Debian", 1, "512Mi"),
    ("fedora", "Fedora", 1, "2Gi"),
    ("opensuse.leap", "openSUSE Leap", 1, "1Gi"),
    ("opensuse.tumbleweed", "openSUSE Tumbleweed", 1, "1Gi"),
    ("rhel.7", "Red Hat Enterprise Linux 7", 1, "1Gi"),
    ("rhel.8", "Red Hat Enterprise Linux 8", 1, "1536Mi"),
    ("rhel.9", "Red Hat Enterprise Linux 9", 1, "1536Mi"),
    ("rhel.10", "Red Hat Enterprise Linux 10", 1, "2Gi"),
    ("sles", "SUSE Linux Enterprise Server", 1, "1Gi"),
    ("ubuntu", "Ubuntu", 1, "1Gi"),
)
_DESKTOPS: Final = ("centos.stream9", "centos.stream10", "rhel.7", "rhel.8", "rhel.9")
_WINDOWSES: Final = (
    ("windows.10", "Microsoft Windows 10", 1, "2Gi"),
    ("windows.11", "Microsoft Windows 11", 2, "4Gi"),
    ("windows.2k16", "Microsoft Windows Server 2016", 1, "512Mi"),
    ("windows.2k19", "Microsoft Windows Server 2019", 1, "512Mi"),
    ("windows.2k22", "Microsoft Windows Server 2022", 1, "512Mi"),
    ("windows.2k25", "Microsoft Windows Server 2025", 1, "512Mi"),
)
_NEEDS_TPM_AND_SECURE_BOOT: Final = ("windows.11", "windows.2k25")


def preferences() -> list[Manifest]:
    """One VirtualMachineClusterPreference per guest system."""
    return [*_linux(), *_windows()]


def _linux() -> list[Manifest]:
    made = []
    for name, title, cpus, memory in _LINUXES:
        made.append(_manifest(name, title, "linux", cpus, memory, _LINUX))
        if name in _DESKTOPS:
            spec = {**_LINUX, "devices": {**_LINUX["devices"], **_DESKTOP}}
            made.append(_manifest(f"{name}.desktop", f"{title} with a desktop", "linux", cpus, memory, spec))
    return made


def _windows() -> list[Manifest]:
    made = []
    for name, title, cpus, memory in _WINDOWSES:
        devices = dict(_WINDOWS_DEVICES)
        spec = dict(_WINDOWS)
        if name in _NEEDS_TPM_AND_SECURE_BOOT:
            devices["preferredTPM"] = {"persistent": True}
            spec["features"] = {**spec["features"], "preferredSmm": {}}
            spec["firmware"] = {"preferredEfi": {"persistent": True, "secureBoot": True}}
        made.append(_manifest(name, title, "windows", cpus, memory, {**spec, "devices": devices}))
        with_drivers = {**spec, "devices": {**devices, **_VIRTIO}}
        made.append(_manifest(f"{name}.virtio", f"{title} with virtio drivers", "windows", cpus, memory, with_drivers))
    return made


def _manifest(name: str, title: str, system: str, cpus: int, memory: str, spec: dict[str, Any]) -> Manifest:
    labels = {"vendor": VENDOR, "os-type": system, "arch": "amd64"}
    return {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClusterPreference",
        "metadata": {
            "name": name,
            "labels": {**COMMON, **{f"instancetype.kubevirt.io/{label}": word for label, word in labels.items()}},
            "annotations": {"instancetype.kubevirt.io/displayName": title},
        },
        "spec": {
            **spec,
            "annotations": {"vm.kubevirt.io/os": system},
            "requirements": {"cpu": {"guest": cpus}, "memory": {"guest": memory}},
        },
    }
