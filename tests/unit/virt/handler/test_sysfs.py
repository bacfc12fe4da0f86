"""Which devices of a made-up node are offered for what the installation permits."""

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from kobune.api.kubevirt import PermittedHostDevices
from kobune.virt.handler.devices.sysfs import Node, discover


class Machine:
    """A sysfs like the kernel's: devices below their bus, links for groups, drivers and types."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.node = Node(root)

    def pci(self, address: str, identity: str, *, driver: str = "vfio-pci", group: str = "", numa: int = -1) -> Path:
        folder = self.root / "sys/devices/pci0000:00" / address
        folder.mkdir(parents=True)
        (folder / "uevent").write_text(f"DRIVER={driver}\nPCI_ID={identity}\nPCI_SLOT_NAME={address}\n")
        (folder / "numa_node").write_text(f"{numa}\n")
        self._group(folder, group)
        self._on_bus("pci", folder)
        return folder

    def mdev(self, parent: Path, uuid: str, name: str, *, group: str, named: bool = True) -> None:
        folder, kind = parent / uuid, parent / "mdev_supported_types" / name.replace(" ", "_")
        kind.mkdir(parents=True, exist_ok=True)
        if named:
            (kind / "name").write_text(f"{name}\n")
        folder.mkdir()
        (folder / "mdev_type").symlink_to(kind)
        self._group(folder, group)
        self._on_bus("mdev", folder)

    def usb(self, name: str, product: str, bus: int, number: int) -> None:
        folder = self.root / "sys/devices/usb" / name
        folder.mkdir(parents=True)
        (folder / "idVendor").write_text("x\n")
        (folder / "uevent").write_text(f"PRODUCT={product}\nBUSNUM={bus:03d}\nDEVNUM={number:03d}\nDEVNAME=../../etc\n")
        self._on_bus("usb", folder)

    def device(self, path: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()

    def _group(self, folder: Path, group: str) -> None:
        if group:
            target = self.root / "sys/kernel/iommu_groups" / group
            target.mkdir(parents=True, exist_ok=True)
            (folder / "iommu_group").symlink_to(target)

    def _on_bus(self, bus: str, folder: Path) -> None:
        devices = self.root / f"sys/bus/{bus}/devices"
        devices.mkdir(parents=True, exist_ok=True)
        (devices / folder.name).symlink_to(os.path.relpath(folder, devices))


def permitted(**lists: Any) -> PermittedHostDevices:
    return msgspec.convert(lists, PermittedHostDevices)


GPU = {"pciVendorSelector": "10de:1EB8", "resourceName": "nvidia.com/T4"}


def test_pci_devices_bound_to_vfio_are_offered_by_their_group(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.pci("0000:65:00.0", "10DE:1EB8", group="21", numa=1)
    machine.pci("0000:66:00.0", "10DE:1EB8", group="22", driver="nvidia")
    machine.pci("0000:67:00.0", "10DE:1EB8")
    machine.pci("0000:68:00.0", "8086:1234", group="23")
    (device,) = discover(machine.node, permitted(pciHostDevices=[GPU]))["nvidia.com/T4"]
    assert (device.name, device.ids, device.numa) == ("21", ("0000:65:00.0",), 1)
    assert device.nodes == ("/dev/vfio/vfio", "/dev/vfio/21")


def test_a_group_goes_to_one_guest_only(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.pci("0000:65:00.0", "10DE:1EB8", group="21")
    machine.pci("0000:65:00.1", "10DE:10F8", group="21")
    audio = {"pciVendorSelector": "10DE:10F8", "resourceName": "nvidia.com/audio"}
    found = discover(machine.node, permitted(pciHostDevices=[GPU, audio]))
    assert [device.ids for device in found["nvidia.com/T4"]] == [("0000:65:00.0",)]
    assert found["nvidia.com/audio"] == ()


def test_what_another_plugin_offers_is_left_to_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.pci("0000:65:00.0", "10DE:1EB8", group="21")
    assert discover(machine.node, permitted(pciHostDevices=[{**GPU, "externalResourceProvider": True}])) == {}


def test_mediated_devices_are_found_by_the_name_of_their_type(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    parent = machine.pci("0000:65:00.0", "10DE:1EB8", driver="nvidia", numa=0)
    machine.mdev(parent, "11111111-0000-0000-0000-000000000001", "GRID T4-1Q", group="31")
    machine.mdev(parent, "11111111-0000-0000-0000-000000000002", "GRID T4-2Q", group="32")
    machine.mdev(parent, "11111111-0000-0000-0000-000000000003", "i915-GVTg_V5_4", group="33", named=False)
    wanted = permitted(
        mediatedDevices=[
            {"mdevNameSelector": "GRID T4-1Q", "resourceName": "nvidia.com/GRID_T4-1Q"},
            {"mdevNameSelector": "i915-GVTg_V5_4", "resourceName": "intel.com/gvt"},
        ]
    )
    found = discover(machine.node, wanted)
    (grid,), (gvt,) = found["nvidia.com/GRID_T4-1Q"], found["intel.com/gvt"]
    assert (grid.ids, grid.name, grid.numa) == (("11111111-0000-0000-0000-000000000001",), "31", 0)
    assert gvt.nodes == ("/dev/vfio/vfio", "/dev/vfio/33")


def test_usb_devices_are_offered_in_whole_sets(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.usb("usb1", "1d6b/2/610", 1, 1)
    machine.usb("1-1", "46f4/1/0", 1, 2)
    machine.usb("1-2", "46f4/1/0", 1, 3)
    machine.usb("1-3", "46f4/2/0", 1, 4)
    storage, token = {"vendor": "46f4", "product": "0001"}, {"vendor": "46F4", "product": "2"}
    found = discover(
        machine.node,
        permitted(
            usb=[
                {"resourceName": "example.com/both", "selectors": [storage, token]},
                {"resourceName": "example.com/storage", "selectors": [storage]},
                {"resourceName": "example.com/none", "selectors": [{"vendor": "x", "product": "1"}]},
                {"resourceName": "example.com/empty"},
            ]
        ),
    )
    (both,), (storage_device,) = found["example.com/both"], found["example.com/storage"]
    assert both.ids == ("1:2", "1:4")
    assert both.nodes == ("/dev/bus/usb/001/002", "/dev/bus/usb/001/004"), "never what the device says of itself"
    assert storage_device.ids == ("1:3",)
    assert found["example.com/none"] == found["example.com/empty"] == ()


def test_a_set_that_is_whole_stays_together_when_another_one_breaks(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for name, product, number in (("1-1", "1", 2), ("1-2", "1", 3), ("1-3", "2", 4), ("1-4", "2", 5)):
        machine.usb(name, f"46f4/{product}/0", 1, number)
    pair: dict[str, Any] = {
        "resourceName": "example.com/pair",
        "selectors": [{"vendor": "46f4", "product": n} for n in ("1", "2")],
    }
    wanted = permitted(usb=[pair])
    first = discover(machine.node, wanted)
    assert [device.ids for device in first["example.com/pair"]] == [("1:2", "1:4"), ("1:3", "1:5")]
    shutil.rmtree(tmp_path / "sys/devices/usb/1-1")
    second = discover(machine.node, wanted, first)
    assert [device.ids for device in second["example.com/pair"]] == [("1:3", "1:5")]
    only = permitted(usb=[{**pair, "selectors": pair["selectors"][:1]}])
    assert [device.ids for device in discover(machine.node, only, first)["example.com/pair"]] == [("1:3",)]


def test_a_device_is_there_as_long_as_its_own_node_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.pci("0000:65:00.0", "10DE:1EB8", group="21")
    (device,) = discover(machine.node, permitted(pciHostDevices=[GPU]))["nvidia.com/T4"]
    assert not machine.node.has(device)
    machine.device("/dev/vfio/21")
    assert machine.node.has(device)


def test_a_machine_without_buses_and_an_installation_that_permits_nothing_offer_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert discover(node, None) == {}
    assert discover(node, permitted()) == {}
    assert discover(node, permitted(pciHostDevices=[GPU])) == {"nvidia.com/T4": ()}
