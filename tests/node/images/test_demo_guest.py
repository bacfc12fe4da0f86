"""The demo guest, booted by a bare qemu under software emulation: what its description promises."""

import asyncio
import json
import os
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from kobune.main.images import DEMO, DEMO_GENERIC, LAUNCHER, BuiltImage, ensure_images
from support.bare_guest import BareGuest, read_image_file, unpack_image_file

pytestmark = pytest.mark.node

LOGIN_LIMIT_S = 60.0
"""Three to six seconds on an idle machine (bench/bare_qemu.py measures that); tests share theirs with others."""


def built(name: str) -> BuiltImage:
    cache = Path(os.environ.get("KOBUNE_TEST_IMAGES", "/var/tmp/kobune-test-images"))
    return asyncio.run(ensure_images(cache, (name,), print))[name]


@pytest.fixture(scope="module")
def demo() -> BuiltImage:
    if os.geteuid() != 0:
        pytest.fail("node tests need root")
    return built(DEMO)


@pytest.fixture(scope="module")
def disk(demo: BuiltImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_image_file(demo.archive, "disk/demo.qcow2", tmp_path_factory.mktemp("demo") / "demo.qcow2")


@pytest.fixture(scope="module")
def generic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk of the guest with the generic kernel."""
    target = tmp_path_factory.mktemp("generic") / "demo.qcow2"
    return unpack_image_file(built(DEMO_GENERIC).archive, "disk/demo.qcow2", target)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    return path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "guest"


def cloud_init_disk(folder: Path, files: dict[str, str], *, label: str = "cidata", fat: bool = False) -> list[str]:
    """QEMU arguments of a disk with these files: an ISO as virt-launcher makes it, or FAT as people make it."""
    source = folder / "seed"
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    image = folder / "seed.img"
    if fat:
        subprocess.run(
            ["mkfs.vfat", "-n", label, "-C", str(image), "1024"], check=True, capture_output=True, timeout=30
        )
        for name in files:
            subprocess.run(["mcopy", "-i", str(image), str(source / name), f"::{name}"], check=True, timeout=30)
    else:
        command = ["xorriso", "-as", "mkisofs", "-quiet", "-V", label, "-J", "-r", "-o", str(image), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    return ["-drive", f"file={image},if=virtio,format=raw,readonly=on"]


def test_the_image_holds_the_disk_alone_and_for_uid_107(demo: BuiltImage) -> None:
    member, content = read_image_file(demo.archive, "disk/demo.qcow2")
    assert (member.uid, member.gid, member.mode) == (107, 107, 0o440)
    assert content[:4] == b"QFI\xfb"
    assert len(content) < 32 << 20
    assert int.from_bytes(content[8:16], "big") == 0, "a backing file"


def test_login_on_the_serial_console_within_seconds_and_power_off_by_the_button(disk: Path, work: Path) -> None:
    with BareGuest(disk, work) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        assert "uid=0(root)" in guest.run("sudo id")
        assert "Kobune demo guest" in guest.run("cat /etc/os-release")
        guest.run("until [ -e /run/acpid.pid ]; do sleep 1; done")
        guest.monitor("system_powerdown")
        assert guest.wait_off() == 0


def test_network_by_dhcp_and_a_root_that_grows_with_the_disk(disk: Path, work: Path) -> None:
    with BareGuest(disk, work, size="1G") as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        guest.run("until [ -e /run/network/online ]; do sleep 1; done")
        assert "inet 10.0.2.15/24" in guest.run("ip address show eth0")
        assert "default via 10.0.2.2" in guest.run("ip route")
        assert "nameserver 10.0.2.3" in guest.run("cat /etc/resolv.conf")
        assert int(guest.run("df -m / | tail -1").split()[1]) > 900
        guest.send("sudo reboot")
        guest.expect("login: ", timeout_s=60)


def test_nocloud_makes_hosts_users_files_and_runs_commands_once(
    disk: Path, work: Path, key: Path, tmp_path: Path
) -> None:
    user_data = f"""\
        #cloud-config
        hostname: seabird
        user: pilot
        password: "12345"
        chpasswd:
          expire: false
          list: |
            second:Changed-1
        ssh_authorized_keys: ['{key.with_suffix(".pub").read_text().strip()}']
        users:
        - default
        - name: second
          groups: adm, wheel
          plain_text_passwd: first
          lock_passwd: false
        write_files:
        - path: /etc/made/by
          content: "cloud init\\n"
          permissions: '0640'
          owner: root:adm
        - path: /etc/made/encoded
          encoding: b64
          content: aGVsbG8K
        runcmd:
        - [touch, "/etc/made/with space"]
        - echo "$(id -un) $(hostname)" >> /etc/ran
    """
    seed = {"meta-data": "instance-id: one\nlocal-hostname: other\n", "user-data": textwrap.dedent(user_data)}
    with BareGuest(disk, work, extra=cloud_init_disk(tmp_path, seed)) as guest:
        guest.login("pilot", "12345", timeout_s=LOGIN_LIMIT_S)
        assert guest.run("cloud-init status --wait") == "status: done"
        assert guest.run("hostname") == "seabird"
        assert guest.run("cat /etc/ran") == "root seabird"
        assert "root     adm" in guest.run("ls -l /etc/made/by")
        assert guest.run("ls -l /etc/made/by").startswith("-rw-r-----")
        assert guest.run("cat /etc/made/encoded") == "hello"
        assert guest.run("ls /etc/made | wc -l").strip() == "3"
        assert "4(adm)" in guest.run("id second")
        assert guest.ssh(key, "sudo id -un; hostname", user="pilot").split() == ["root", "seabird"]
        # The image's own user is not a back door beside the one that was asked for.
        assert guest.run("sudo grep -c '^kobune:!' /etc/shadow") == "1"
        guest.send("sudo reboot")
        guest.login("second", "Changed-1", timeout_s=60)
        guest.run("cloud-init status --wait")
        assert guest.run("cat /etc/ran") == "root seabird", "commands ran again for the same instance"


def test_a_fat_disk_and_static_addresses(disk: Path, work: Path, tmp_path: Path) -> None:
    network = """\
        version: 2
        ethernets:
          eth0:
            addresses: [10.0.2.77/24]
            gateway4: 10.0.2.2
            nameservers: {addresses: [10.0.2.3]}
    """
    seed = {
        "meta-data": "instance-id: two\nlocal-hostname: fixed\n",
        "user-data": "#!/bin/sh\necho script > /etc/ran\n",
        "network-config": textwrap.dedent(network),
    }
    with BareGuest(disk, work, extra=cloud_init_disk(tmp_path, seed, label="CIDATA", fat=True)) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        assert guest.run("hostname") == "fixed"
        assert "inet 10.0.2.77/24" in guest.run("ip address show eth0")
        assert "default via 10.0.2.2" in guest.run("ip route")
        assert guest.run("cloud-init status --wait") == "status: done"
        assert guest.run("cat /etc/ran") == "script"


def test_config_drive(disk: Path, work: Path, tmp_path: Path) -> None:
    seed = {
        "openstack/latest/meta_data.json": json.dumps({"uuid": "three", "hostname": "driven"}),
        "openstack/latest/user_data": "#cloud-config\npassword: abc\n",
    }
    with BareGuest(disk, work, extra=cloud_init_disk(tmp_path, seed, label="config-2")) as guest:
        guest.expect("driven login: ", timeout_s=LOGIN_LIMIT_S)
        guest.send("kobune")
        guest.expect("assword: ")
        guest.send("abc")
        guest.expect(r"\$ ")


def test_broken_user_data_is_told_and_does_not_stop_the_boot(disk: Path, work: Path, tmp_path: Path) -> None:
    seed = {"meta-data": "instance-id: four\n", "user-data": "#cloud-config\nruncmd: [\n"}
    with BareGuest(disk, work, extra=cloud_init_disk(tmp_path, seed)) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        told = guest.run("cloud-init status --wait")
        assert "status: error" in told
        assert "user-data is not valid YAML" in told


def test_the_guest_agent_answers_and_sets_passwords(disk: Path, work: Path) -> None:
    with BareGuest(disk, work) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        assert guest.agent("guest-get-osinfo")["id"] == "kobune-demo"
        assert guest.agent("guest-get-host-name") == {"host-name": "kobune-demo"}
        assert [user["user"] for user in guest.agent("guest-get-users")] == ["kobune"]
        guest.agent("guest-set-user-password", username="kobune", password="bmV3", crypted=False)
        guest.send("exit")
        guest.login("kobune", "new")


def test_disks_processors_and_memory_can_be_plugged_in(disk: Path, work: Path, tmp_path: Path) -> None:
    extra = tmp_path / "extra.raw"
    extra.write_bytes(bytes(16 << 20))
    ports = ["-device", "pcie-root-port,id=slot1,chassis=1,slot=1"]
    with BareGuest(disk, work, extra=ports) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        guest.monitor("blockdev-add", driver="raw", node_name="extra", file={"driver": "file", "filename": str(extra)})
        guest.monitor("device_add", driver="virtio-blk-pci", drive="extra", bus="slot1", serial="data", id="extra")
        guest.run("until [ -e /dev/disk/by-id/virtio-data ]; do sleep 1; done")
        device = "/dev/disk/by-id/virtio-data"
        mounted = guest.run(f"sudo mkfs.ext4 -q {device} && sudo mount {device} /mnt")
        assert "/mnt" in guest.run("df /mnt"), mounted
        guest.monitor("device_add", driver="max-x86_64-cpu", id="cpu1", socket_id=1, core_id=0, thread_id=0, die_id=0)
        guest.run("until [ $(nproc) = 2 ]; do sleep 1; done", timeout_s=30)
        before = int(guest.run("grep MemTotal /proc/meminfo").split()[1])
        guest.monitor("object-add", qom_type="memory-backend-ram", id="plugged", size=128 << 20)
        guest.monitor("device_add", driver="pc-dimm", id="dimm1", memdev="plugged")
        deadline_s = time.monotonic() + 30
        while int(guest.run("grep MemTotal /proc/meminfo").split()[1]) < before + 100_000:
            assert time.monotonic() < deadline_s, "the memory was not taken into use"


@pytest.mark.parametrize(("bus", "machine"), [("scsi", "q35"), ("nvme", "q35"), ("ide", "pc")])
def test_other_disk_buses(disk: Path, work: Path, bus: str, machine: str) -> None:
    with BareGuest(disk, work, bus=bus, machine=machine) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)


@pytest.mark.parametrize("bus", ["virtio", "scsi", "sata", "usb", "nvme"])
def test_the_generic_kernel_boots_from_every_bus(generic: Path, work: Path, bus: str) -> None:
    with BareGuest(generic, work, bus=bus) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)


def test_the_generic_kernel_has_drivers_for_what_a_machine_may_have(generic: Path, work: Path) -> None:
    devices = ["-device", "i6300esb", "-watchdog-action", "none", "-device", "qemu-xhci", "-device", "usb-tablet"]
    devices += ["-netdev", "user,id=net1", "-device", "e1000e,netdev=net1,romfile="]
    with BareGuest(generic, work, extra=devices) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        drivers = (
            "for d in /sys/bus/pci/devices/*/driver /sys/bus/usb/devices/*/driver; do basename $(readlink $d); done"
        )
        found = guest.run(drivers).split()
        assert {"i6300ESB", "xhci_hcd", "usbhid", "e1000e", "ahci"} <= set(found)
        assert guest.run("ls /dev/watchdog") == "/dev/watchdog"
        assert "QEMU USB Tablet" in guest.run("cat /proc/bus/input/devices")


def test_files_are_copied_by_scp(disk: Path, work: Path, key: Path, tmp_path: Path) -> None:
    public = key.with_suffix(".pub").read_text().strip()
    seed = {"meta-data": "instance-id: five\n", "user-data": f"#cloud-config\nssh_authorized_keys: ['{public}']\n"}
    (tmp_path / "here").write_text("by sftp\n")
    with BareGuest(disk, work, extra=cloud_init_disk(tmp_path, seed)) as guest:
        guest.login(timeout_s=LOGIN_LIMIT_S)
        guest.run("cloud-init status --wait")
        options = ["-q", "-i", str(key), "-P", str(guest.ssh_port), "-o", "BatchMode=yes"]
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        there = "kobune@127.0.0.1:there"
        for source, target in ((str(tmp_path / "here"), there), (there, str(tmp_path / "back"))):
            subprocess.run(["scp", *options, source, target], check=True, timeout=60)
        assert guest.run("cat there") == "by sftp"
        assert (tmp_path / "back").read_text() == "by sftp\n"


@pytest.mark.parametrize("secure", [False, True], ids=["uefi", "secure-boot"])
@pytest.mark.parametrize("name", [DEMO, DEMO_GENERIC])
def test_uefi_firmware_of_the_launcher_image(name: str, work: Path, tmp_path: Path, secure: bool) -> None:
    disk = unpack_image_file(built(name).archive, "disk/demo.qcow2", tmp_path / "demo.qcow2")
    kind = (".secboot", ".ms") if secure else ("", "")
    archive = built(LAUNCHER).archive
    code = unpack_image_file(archive, f"usr/share/OVMF/OVMF_CODE_4M{kind[0]}.fd", tmp_path / "code.fd")
    variables = unpack_image_file(archive, f"usr/share/OVMF/OVMF_VARS_4M{kind[1]}.fd", tmp_path / "vars.fd")
    flash = ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
    flash += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    flash += ["-global", "driver=cfi.pflash01,property=secure,value=on"] if secure else []
    machine = "q35,smm=on" if secure else "q35"
    with BareGuest(disk, work, machine=machine, memory_mib=512, extra=flash) as guest:
        guest.login(timeout_s=180)
        assert f"Secure boot {'enabled' if secure else 'disabled'}" in guest.run("sudo dmesg | grep 'Secure boot'")
