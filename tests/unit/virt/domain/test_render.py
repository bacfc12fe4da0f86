"""Domain XML by golden files: one VMI per file, whole documents compared. `--update-golden` writes them."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import pytest

from kobune.virt.domain.document import DiskSource, DomainSource, InvalidSpec, KernelSource
from kobune.virt.domain.facts import Facts, InterfaceFacts
from kobune.virt.domain.numa import cells
from kobune.virt.domain.render import render_domain
from support.vmis import UID, vmi, vmi_document

ROOT = DiskSource(
    "/var/run/kubevirt-ephemeral-disks/disk-data/root/disk.qcow2",
    "qcow2",
    backing=DiskSource("/var/run/kubevirt/container-disks/root/disk/demo.qcow2", "qcow2", read_only=True),
)
SEED = DiskSource("/var/run/kubevirt-ephemeral-disks/cloud-init/seed.iso", read_only=True)
CLAIM = DiskSource("/var/run/kubevirt-private/vmi-disks/data/disk.img")
BLOCK = DiskSource("/dev/block", block=True)
DISKS = {"root": ROOT, "seed": SEED, "data": CLAIM, "block": BLOCK}
POD = InterfaceFacts(name="default", tap="tap0", mac="02:00:00:5f:0c:2b", mtu=1450, bridge="k6t-eth0")
TCG = Facts(interfaces=[POD])
KVM = Facts(kvm=True, host_cpus=8, interfaces=[POD])

INTERFACE = {"name": "default", "masquerade": {}}


def devices(**more: Any) -> dict[str, Any]:
    return {"disks": [{"name": "root", "disk": {"bus": "virtio"}}], **more}


CASES: dict[str, tuple[dict[str, Any], Facts]] = {
    "smallest-tcg": ({"devices": devices()}, TCG),
    "demo-tcg": ({"devices": devices(interfaces=[INTERFACE], rng={})}, TCG),
    "demo-kvm": ({"devices": devices(interfaces=[INTERFACE], rng={})}, KVM),
    "disks": (
        {
            "devices": {
                "disks": [
                    {"name": "root", "bootOrder": 1, "disk": {"bus": "sata"}, "cache": "none", "io": "native"},
                    {"name": "seed", "cdrom": {"bus": "sata", "tray": "open"}},
                    {"name": "data", "disk": {"bus": "scsi"}, "serial": "D1", "errorPolicy": "report"},
                    {
                        "name": "block",
                        "disk": {"bus": "virtio", "pciAddress": "0000:0a:00.0"},
                        "shareable": True,
                        "dedicatedIOThread": True,
                        "blockSize": {"custom": {"logical": 4096, "physical": 4096}},
                    },
                ],
                "blockMultiQueue": True,
            },
            "cpu": {"cores": 2},
            "ioThreadsPolicy": "shared",
        },
        TCG,
    ),
    "metrics-channel": ({"devices": devices(downwardMetrics={})}, TCG),
    "client-passthrough": ({"devices": devices(clientPassthrough={})}, TCG),
    "acpi-tables": (
        {"devices": devices(), "firmware": {"acpi": {"slicNameRef": "windows", "msdmNameRef": "licence"}}},
        TCG,
    ),
    "filesystems": (
        {"devices": devices(filesystems=[{"name": "settings", "virtiofs": {}}, {"name": "data", "virtiofs": {}}])},
        TCG,
    ),
    "kept-state": (
        {
            "devices": devices(tpm={"persistent": True}),
            "firmware": {"bootloader": {"efi": {"secureBoot": False, "persistent": True}}},
        },
        TCG,
    ),
    "network": (
        {
            "devices": devices(
                interfaces=[
                    {"name": "default", "masquerade": {}, "bootOrder": 1},
                    {"name": "second", "bridge": {}, "model": "e1000e", "state": "down", "acpiIndex": 7},
                    {"name": "third", "bridge": {}, "state": "absent"},
                ],
                networkInterfaceMultiqueue=True,
            ),
            "cpu": {"sockets": 4},
        },
        Facts(
            interfaces=[
                InterfaceFacts(name="default", tap="tap0", mac="02:00:00:00:00:01", queues=8),
                InterfaceFacts(name="second", tap="tap1", mac="02:00:00:00:00:02"),
            ]
        ),
    ),
    "cpu-and-memory": (
        {
            "devices": devices(),
            "cpu": {
                "sockets": 2,
                "cores": 2,
                "threads": 2,
                "maxSockets": 4,
                "model": "Haswell",
                "features": [{"name": "vmx", "policy": "disable"}, {"name": "aes"}],
            },
            "memory": {"guest": "1Gi", "hugepages": {"pageSize": "2Mi"}},
        },
        KVM,
    ),
    "uefi-secure-boot": (
        {
            "devices": devices(tpm={}),
            "machine": {"type": "pc-q35-7.2"},
            "firmware": {
                "uuid": "11111111-2222-3333-4444-555555555555",
                "serial": "S-1",
                "bootloader": {"efi": {}},
            },
            "chassis": {"manufacturer": "Acme", "asset": "A1"},
        },
        TCG,
    ),
    "windows-kvm": (
        {
            "devices": devices(inputs=[{"name": "tablet", "type": "tablet"}], sound={"name": "card"}),
            "clock": {
                "utc": {"offsetSeconds": 3600},
                "timer": {
                    "hpet": {"present": False},
                    "pit": {"tickPolicy": "delay"},
                    "rtc": {"tickPolicy": "catchup", "track": "guest"},
                    "hyperv": {},
                },
            },
            "features": {
                "acpi": {},
                "apic": {"endOfInterrupt": True},
                "kvm": {"hidden": True},
                "smm": {"enabled": False},
                "hyperv": {
                    "relaxed": {},
                    "vapic": {"enabled": True},
                    "spinlocks": {"spinlocks": 8191},
                    "vendorid": {"vendorid": "KVM Hv"},
                    "synic": {},
                    "synictimer": {"direct": {}},
                    "tlbflush": {"enabled": False},
                },
            },
        },
        KVM,
    ),
    "bare": (
        {
            "devices": devices(
                autoattachGraphicsDevice=False,
                autoattachSerialConsole=False,
                autoattachMemBalloon=False,
                disableHotplug=True,
                useVirtioTransitional=True,
            ),
            "features": {"acpi": {"enabled": False}},
            "rebootPolicy": "Terminate",
        },
        TCG,
    ),
    "watched": (
        {
            "devices": devices(
                watchdog={"name": "dog", "i6300esb": {"action": "poweroff"}},
                panicDevices=[{"model": "pvpanic"}],
                inputs=[{"name": "keys", "type": "keyboard", "bus": "virtio"}],
                video={"type": "virtio"},
                logSerialConsole=False,
            ),
            "clock": {"timezone": "Europe/Berlin"},
        },
        TCG,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_domain_xml(name: str, golden: Callable[[str, str], None]) -> None:
    domain, facts = CASES[name]
    text = render_domain(DomainSource(vmi(vmi_document(**domain)), facts, DISKS))
    golden(f"{name}.xml", text)
    ElementTree.fromstring(text)


GIVEN = {
    "PCI_RESOURCE_NVIDIA_COM_TU104": "0000:65:00.0,0000:b3:00.1",
    "PCI_RESOURCE_EXAMPLE_COM_NIC-1": "0000:01:10.3",
    "MDEV_PCI_RESOURCE_NVIDIA_COM_GRID_T4-1Q": "f4f5cd2e-9d8c-4a5b-8c43-2c2f8e3ad0e1",
    "USB_RESOURCE_EXAMPLE_COM_TOKEN": "1:4,2:9",
}


def test_devices_of_the_node_are_those_that_the_pod_was_given(golden: Callable[[str, str], None]) -> None:
    wanted = devices(
        gpus=[
            {"name": "one", "deviceName": "nvidia.com/TU104"},
            {"name": "two", "deviceName": "nvidia.com/TU104"},
            {"name": "shown", "deviceName": "nvidia.com/GRID_T4-1Q"},
        ],
        hostDevices=[
            {"name": "nic", "deviceName": "example.com/nic-1"},
            {"name": "token", "deviceName": "example.com/token"},
        ],
    )
    source = DomainSource(vmi(vmi_document(devices=wanted)), TCG, DISKS, environment=GIVEN)
    golden("host-devices.xml", render_domain(source))


def test_sriov_interfaces_are_devices_of_the_node(golden: Callable[[str, str], None]) -> None:
    interfaces = [
        {"name": "default", "masquerade": {}},
        {"name": "fast", "sriov": {}, "bootOrder": 1, "pciAddress": "0000:0a:00.0"},
        {"name": "gone", "sriov": {}, "state": "absent"},
    ]
    facts = Facts(interfaces=[POD, InterfaceFacts(name="fast", pci="0000:81:01.2")])
    document = vmi_document(devices=devices(interfaces=interfaces))
    golden("sriov.xml", render_domain(DomainSource(vmi(document), facts, DISKS)))
    with pytest.raises(InvalidSpec) as error:
        render_domain(DomainSource(vmi(document), TCG, DISKS))
    assert error.value.field == "spec.domain.devices.interfaces[1]"


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        (None, {"display": "on", "ramfb": "on"}),
        ({"display": {"enabled": False}}, {}),
        ({"display": {"enabled": True, "ramFB": {"enabled": False}}}, {"display": "on"}),
        ({"display": {}}, {"display": "on", "ramfb": "on"}),
        ({}, {}),
    ],
)
def test_a_vgpu_is_shown_unless_its_options_say_otherwise(
    options: dict[str, Any] | None, attributes: dict[str, str]
) -> None:
    gpu = {
        "name": "g",
        "deviceName": "nvidia.com/GRID_T4-1Q",
        **({} if options is None else {"virtualGPUOptions": options}),
    }
    for graphics, expected in ((True, attributes), (False, {})):
        document = vmi_document(devices=devices(gpus=[gpu], autoattachGraphicsDevice=graphics))
        text = render_domain(DomainSource(vmi(document), TCG, DISKS, environment=GIVEN))
        element = ElementTree.fromstring(text).find("devices/hostdev")
        assert element is not None
        assert {name: value for name, value in element.attrib.items() if name in ("display", "ramfb")} == expected


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PCI_RESOURCE_NVIDIA_COM_TU104": "0000:65:00.0"},
        {"PCI_RESOURCE_NVIDIA_COM_TU104": "0000:65:00.0,../../etc"},
    ],
)
def test_a_device_that_the_pod_was_not_given_is_told(environment: dict[str, str]) -> None:
    wanted = [{"name": name, "deviceName": "nvidia.com/TU104"} for name in ("one", "two")]
    source = DomainSource(vmi(vmi_document(devices=devices(gpus=wanted))), TCG, DISKS, environment=environment)
    with pytest.raises(InvalidSpec) as error:
        render_domain(source)
    assert error.value.field == "spec.domain.devices.gpus[0]"
    assert "nvidia.com/TU104" in str(error.value)


def test_usb_devices_of_the_node_bring_a_usb_controller() -> None:
    wanted = devices(hostDevices=[{"name": "token", "deviceName": "example.com/token"}])
    text = render_domain(DomainSource(vmi(vmi_document(devices=wanted)), TCG, DISKS, environment=GIVEN))
    assert 'type="usb" index="0" model="qemu-xhci"' in text


def test_a_kernel_is_booted_directly(golden: Callable[[str, str], None]) -> None:
    boot = {"kernelArgs": "console=ttyS0", "container": {"image": "k", "kernelPath": "/k", "initrdPath": "/i"}}
    source = DomainSource(
        vmi(firmware={"kernelBoot": boot}), TCG, DISKS, KernelSource("/var/run/kubevirt/kernel-boot/k", "/i")
    )
    golden("kernel-boot.xml", render_domain(source))


def test_dedicated_cpus_are_pinned_one_to_one(golden: Callable[[str, str], None]) -> None:
    cpu = {"cores": 2, "dedicatedCpuPlacement": True, "isolateEmulatorThread": True}
    golden("dedicated-cpus.xml", render_domain(DomainSource(vmi(cpu=cpu), TCG, DISKS, cpus=(3, 5, 7))))


NODES = {0: (0, 1, 2, 3), 1: (4, 5, 6, 7)}
REALTIME = {"cores": 4, "dedicatedCpuPlacement": True, "numa": {"guestMappingPassthrough": {}}, "realtime": {}}


def test_the_guest_has_the_numa_nodes_of_its_cpus(golden: Callable[[str, str], None]) -> None:
    document = vmi_document(
        cpu={**REALTIME, "isolateEmulatorThread": True}, memory={"guest": "1026Mi", "hugepages": {"pageSize": "2Mi"}}
    )
    source = DomainSource(vmi(document), KVM, DISKS, cpus=(2, 3, 5, 6, 7), numa_nodes=NODES)
    golden("numa-realtime.xml", render_domain(source))
    shares = [(cell.vcpus, cell.memory_bytes >> 20, cell.host_node) for cell in cells(source)]
    assert shares == [((0, 1), 514, 0), ((2, 3), 512, 1)]


@pytest.mark.parametrize(
    ("memory", "cpus", "field"),
    [
        ({"guest": "1Gi", "hugepages": {"pageSize": "1Gi"}}, (2, 3, 5, 6), "spec.domain.memory.guest"),
        (
            {"guest": "1Gi", "hugepages": {"pageSize": "2Mi"}},
            (2, 3, 5, 9),
            "spec.domain.cpu.numa.guestMappingPassthrough",
        ),
        ({"guest": "1Gi"}, (0, 1, 2, 3), "spec.domain.memory.hugepages"),
    ],
)
def test_memory_that_cannot_be_laid_out_is_told(memory: dict[str, Any], cpus: tuple[int, ...], field: str) -> None:
    document = vmi_document(cpu=REALTIME, memory=memory)
    with pytest.raises(InvalidSpec) as error:
        render_domain(DomainSource(vmi(document), KVM, DISKS, cpus=cpus, numa_nodes=NODES))
    assert error.value.field == field


def test_a_host_that_tells_of_no_numa_nodes_has_none_to_pass_on() -> None:
    document = vmi_document(cpu=REALTIME, memory={"guest": "1Gi", "hugepages": {"pageSize": "2Mi"}})
    assert "numatune" not in render_domain(DomainSource(vmi(document), KVM, DISKS, cpus=(0, 1, 2, 3)))


def test_a_vsock_device_has_the_instance_s_context_id(golden: Callable[[str, str], None]) -> None:
    document = vmi_document(devices=devices(autoattachVSOCK=True))
    document["status"] = {"VSOCKCID": 4711}
    golden("vsock.xml", render_domain(DomainSource(vmi(document), TCG, DISKS)))


def test_a_lun_is_a_block_device_on_scsi(golden: Callable[[str, str], None]) -> None:
    document = vmi_document(devices={"disks": [{"name": "block", "lun": {}}]})
    golden("lun.xml", render_domain(DomainSource(vmi(document), TCG, DISKS)))


def test_the_same_source_gives_the_same_text() -> None:
    source = DomainSource(vmi(), TCG, DISKS)
    assert render_domain(source) == render_domain(source)


@pytest.mark.parametrize(
    ("domain", "field"),
    [
        ({"devices": {"disks": [{"name": "nowhere", "disk": {}}]}}, "spec.domain.devices.disks[0].name"),
        ({"devices": devices(interfaces=[{"name": "other"}])}, "spec.domain.devices.interfaces[0]"),
        (
            {"devices": devices(interfaces=[{**INTERFACE, "model": "token-ring"}])},
            "spec.domain.devices.interfaces[0].model",
        ),
        (
            {"devices": {"disks": [{"name": "root", "disk": {"pciAddress": "slot 7"}}]}},
            "spec.domain.devices.disks[0].disk.pciAddress",
        ),
        ({"devices": devices(inputs=[{"name": "m", "type": "mouse"}])}, "spec.domain.devices.inputs[0].type"),
        ({"memory": {"guest": "lots"}}, "spec.domain.memory.guest"),
        ({"memory": {"guest": "1"}}, "spec.domain.memory.guest"),
        ({"memory": None}, "spec.domain.memory.guest"),
        ({"firmware": {"uuid": "seven"}}, "spec.domain.firmware.uuid"),
        ({"devices": {"disks": [{"name": "data", "lun": {}}]}}, "spec.domain.devices.disks[0].lun"),
        ({"cpu": {"cores": 4, "dedicatedCpuPlacement": True}}, "spec.domain.cpu.dedicatedCpuPlacement"),
    ],
)
def test_what_cannot_be_rendered_names_its_field(domain: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        render_domain(DomainSource(vmi(vmi_document(**domain)), TCG, DISKS))
    assert error.value.field == field
    assert str(error.value).startswith(field)


def test_the_domain_has_the_vmis_uid_unless_the_firmware_says_otherwise() -> None:
    assert f"<uuid>{UID}</uuid>" in render_domain(DomainSource(vmi(), TCG, DISKS))


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"requests": {"memory": "64Mi"}}, 64 * 1024),
        ({"limits": {"memory": "1G"}}, 953 * 1024),
        ({"requests": {"memory": "64Mi"}, "limits": {"memory": "1Gi"}}, 64 * 1024),
    ],
)
def test_without_guest_memory_the_request_or_the_limit_is_taken(resources: dict[str, Any], expected: int) -> None:
    text = render_domain(DomainSource(vmi(vmi_document(memory=None, resources=resources)), TCG, DISKS))
    assert f'<memory unit="KiB">{expected}</memory>' in text


@pytest.mark.parametrize(
    ("memory", "buffer_mib"), [("128Mi", 24), ("191Mi", 24), ("192Mi", 32), ("511Mi", 32), ("512Mi", 64), ("8Gi", 64)]
)
def test_the_buffer_for_translated_code_is_bounded(memory: str, buffer_mib: int) -> None:
    source = DomainSource(vmi(memory={"guest": memory}), TCG, DISKS)
    assert f'<tb-cache unit="MiB">{buffer_mib}</tb-cache>' in render_domain(source)
    assert "tb-cache" not in render_domain(DomainSource(vmi(memory={"guest": memory}), KVM, DISKS))


@pytest.mark.parametrize(
    ("resources", "vcpus"), [({"requests": {"cpu": "1500m"}}, 2), ({"limits": {"cpu": 3}}, 3), ({}, 1)]
)
def test_without_a_topology_the_request_or_limit_gives_the_sockets(resources: dict[str, Any], vcpus: int) -> None:
    text = render_domain(DomainSource(vmi(vmi_document(resources=resources)), TCG, DISKS))
    assert f'<vcpu placement="static">{vcpus}</vcpu>' in text
