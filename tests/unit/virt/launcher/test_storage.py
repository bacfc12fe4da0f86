"""Every kind of volume becomes a source that QEMU can open; what is hostile is refused."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.host.disk.image import InvalidImage
from kobune.host.run import Completed
from kobune.host.run.fake import Call, FakeRunner
from kobune.virt.domain.document import DiskSource, InvalidSpec
from kobune.virt.domain.facts import DiskFacts, Facts
from kobune.virt.launcher.places import Places
from kobune.virt.launcher.storage import prepare_disks
from support.vmis import vmi_document


class Pod:
    def __init__(self, root: Path) -> None:
        self.places = Places(
            sockets=root,
            private=root / "private",
            ephemeral_disks=root / "ephemeral",
            container_disks=root / "container-disks",
            devices=root / "dev",
            hotplug_disks=root / "hotplug-disks",
            hotplug_devices=root / "dev/hotplug",
        )
        self.info: dict[str, Any] = {"format": "qcow2", "virtual-size": 1 << 30}
        self.runner = FakeRunner()
        self.runner.on("prlimit", answer=lambda call: Completed(call.args, 0, json.dumps(self.info).encode()))
        self.runner.on("qemu-img", answer=self._create)
        self.runner.on("xorrisofs", answer=self._iso)
        self.iso_files: dict[str, str] = {}
        self.image = self.places.container_disks / "v/disk/demo.img"
        self.image.parent.mkdir(parents=True)
        self.image.write_bytes(b"x")
        (self.places.vmi_disks / "v").mkdir(parents=True)

    def _create(self, call: Call) -> Completed:
        path = next(arg for arg in call.args if arg.endswith(".new"))
        Path(path).write_bytes(b"QFI")
        return Completed(call.args, 0)

    def _iso(self, call: Call) -> Completed:
        folder = Path(call.args[-1])
        self.iso_files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
        Path(call.args[call.args.index("-o") + 1]).write_bytes(b"CD001")
        return Completed(call.args, 0)

    def content(self, path: str) -> bytes:
        return Path(path).read_bytes()

    async def prepare(
        self, volume: dict[str, Any], *, disk: dict[str, Any] | None = None, facts: Facts | None = None
    ) -> DiskSource:
        document = vmi_document()
        document["spec"]["domain"]["devices"]["disks"] = [{"name": "v", **(disk or {"disk": {}})}]
        document["spec"]["volumes"] = [{"name": "v", **volume}, {"name": "unused", "emptyDisk": {"capacity": "1Gi"}}]
        document["status"] = {"volumeStatus": [{"name": "v", "target": "", "persistentVolumeClaimInfo": CLAIM}]}
        vmi = msgspec.convert(document, VirtualMachineInstance)
        sources = await prepare_disks(vmi, facts or Facts(), self.places, self.runner)
        assert list(sources) == ["v"]
        return sources["v"]

    def created(self) -> list[tuple[str, ...]]:
        return [call.args for call in self.runner.calls if call.args[:2] == ("qemu-img", "create")]


def size(source: DiskSource) -> int:
    return os.stat(source.path).st_size


CLAIM = {"capacity": {"storage": "1Mi"}}
CONTAINER_DISK = {"containerDisk": {"image": "demo"}}


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


async def test_a_container_disk_is_read_through_an_overlay(pod: Pod) -> None:
    source = await pod.prepare(CONTAINER_DISK)
    overlay = pod.places.ephemeral_disks / "disk-data/v/disk.qcow2"
    assert source == DiskSource(
        str(overlay), "qcow2", backing=DiskSource(str(pod.image.resolve()), "qcow2", read_only=True)
    )
    assert overlay.exists()
    await pod.prepare(CONTAINER_DISK)
    assert len(pod.created()) == 1, "a second attempt must keep what the guest may have written"


async def test_a_container_disk_as_cdrom_is_read_directly(pod: Pod) -> None:
    pod.info = {"format": "raw", "virtual-size": 1 << 20}
    source = await pod.prepare(CONTAINER_DISK, disk={"cdrom": {}})
    assert source == DiskSource(str(pod.image.resolve()), "raw", read_only=True)
    assert pod.created() == []


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"format": "vmdk", "virtual-size": 1}, "format is vmdk"),
        ({"format": "qcow2", "virtual-size": 1, "backing-filename": "/etc/shadow"}, "backing file"),
        ({"format": "qcow2", "virtual-size": 1 << 62}, "virtual size"),
        ({"format": "qcow2", "virtual-size": 0}, "virtual size"),
        (
            {"format": "qcow2", "virtual-size": 1, "format-specific": {"data": {"data-file": "/etc/shadow"}}},
            "external data file",
        ),
        (
            {"format": "qcow2", "virtual-size": 1, "format-specific": {"data": {"encrypt": {"format": "luks"}}}},
            "encrypted",
        ),
        ({"format": "qcow2", "virtual-size": 1, "format-specific": {"data": {"corrupt": True}}}, "corrupt"),
        ({"nonsense": 1}, "not understood"),
    ],
)
async def test_a_hostile_image_is_refused(pod: Pod, info: dict[str, Any], reason: str) -> None:
    pod.info = info
    with pytest.raises(InvalidImage, match=reason):
        await pod.prepare(CONTAINER_DISK)


async def test_an_image_that_qemu_img_chokes_on_is_refused(pod: Pod) -> None:
    pod.runner.on("prlimit", returncode=1, stderr=b"Could not open image")
    with pytest.raises(InvalidImage, match="Could not open image"):
        await pod.prepare(CONTAINER_DISK)


async def test_a_link_out_of_the_image_is_refused(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    pod.image.unlink()
    pod.image.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidImage, match="not a regular file of the image"):
        await pod.prepare(CONTAINER_DISK)


async def test_a_pipe_in_the_image_is_refused(pod: Pod) -> None:
    pod.image.unlink()
    os.mkfifo(pod.image)
    with pytest.raises(InvalidImage, match="not a regular file"):
        await pod.prepare(CONTAINER_DISK)


@pytest.mark.parametrize("path", ["/../../private/x", "/nowhere.img", "/disk"])
async def test_a_path_that_is_no_file_of_the_image_is_refused(pod: Pod, path: str) -> None:
    (pod.places.private / "x").write_text("")
    with pytest.raises(InvalidImage):
        await pod.prepare({"containerDisk": {"image": "demo", "path": path}})


async def test_two_files_need_a_path(pod: Pod) -> None:
    (pod.image.parent / "other.img").write_bytes(b"y")
    with pytest.raises(InvalidImage, match="exactly one file"):
        await pod.prepare(CONTAINER_DISK)
    source = await pod.prepare({"containerDisk": {"image": "demo", "path": "/disk/other.img"}})
    assert source.backing is not None
    assert source.backing.path.endswith("/disk/other.img")


async def test_an_empty_disk_has_its_capacity(pod: Pod) -> None:
    source = await pod.prepare({"emptyDisk": {"capacity": "2Gi"}})
    assert source.format == "qcow2"
    assert pod.created()[0][-1] == str(2 << 30)


async def test_a_claims_disk_keeps_its_data_and_grows_with_the_claim(pod: Pod) -> None:
    path = pod.places.vmi_disks / "v/disk.img"
    path.write_bytes(b"data")
    read_only = {"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}
    assert await pod.prepare(read_only) == DiskSource(str(path), read_only=True)
    assert path.read_bytes() == b"data"
    assert await pod.prepare({"persistentVolumeClaim": {"claimName": "c"}}) == DiskSource(str(path))
    assert path.read_bytes() == b"data".ljust(1 << 20, b"\0")


async def test_a_claims_disk_never_shrinks(pod: Pod) -> None:
    path = pod.places.vmi_disks / "v/disk.img"
    path.write_bytes(b"data".ljust(3 << 20, b"\0"))
    source = await pod.prepare({"dataVolume": {"name": "d"}})
    assert source == DiskSource(str(path))
    assert size(source) == 3 << 20


async def test_an_empty_claim_becomes_an_empty_disk_of_its_size(pod: Pod) -> None:
    source = await pod.prepare({"persistentVolumeClaim": {"claimName": "c"}})
    assert size(source) == 1 << 20


async def test_an_ephemeral_claim_is_not_written_to(pod: Pod) -> None:
    (pod.places.vmi_disks / "v/disk.img").write_bytes(b"data")
    source = await pod.prepare({"ephemeral": {"persistentVolumeClaim": {"claimName": "c"}}})
    assert source.backing is not None
    assert source.backing.read_only


async def test_a_host_disk_is_made_when_asked_for(pod: Pod) -> None:
    with pytest.raises(InvalidImage, match="does not exist"):
        await pod.prepare({"hostDisk": {"path": "/data/a.img", "type": "Disk"}})
    source = await pod.prepare({"hostDisk": {"path": "/data/a.img", "type": "DiskOrCreate", "capacity": "1Mi"}})
    assert size(source) == 1 << 20


async def test_what_virt_handler_says_wins(pod: Pod) -> None:
    facts = Facts(disks=[DiskFacts(volume="v", path="/dev/x", block=True)])
    assert await pod.prepare({"dataVolume": {"name": "d"}}, facts=facts) == DiskSource("/dev/x", block=True)


async def test_cloud_init_can_be_written_on_sata_where_no_disk_is_read_only(pod: Pod) -> None:
    source = await pod.prepare({"cloudInitNoCloud": {"userData": "x"}}, disk={"disk": {"bus": "sata"}})
    assert not source.read_only


async def test_cloud_init_secrets_come_from_their_mount(pod: Pod) -> None:
    secret = pod.places.cloud_init_secrets / "v/user"
    secret.mkdir(parents=True)
    (secret / "userdata").write_text("from a secret")
    source = await pod.prepare({"cloudInitNoCloud": {"secretRef": {"name": "s"}}})
    assert source.read_only
    assert pod.iso_files["user-data"] == "from a secret"


@pytest.mark.parametrize(("disk", "read_only"), [({"bus": "virtio"}, True), ({"bus": "sata"}, False)])
async def test_a_seed_is_read_only_where_qemu_has_read_only_disks(
    pod: Pod, disk: dict[str, Any], read_only: bool
) -> None:
    source = await pod.prepare({"cloudInitNoCloud": {"userData": "x"}}, disk={"disk": disk})
    assert source.read_only is read_only


@pytest.mark.parametrize(
    ("volume", "folder"),
    [
        ({"configMap": {"name": "c"}}, "config-map"),
        ({"secret": {"secretName": "s"}}, "secret"),
        ({"downwardAPI": {"fields": []}}, "downward-api"),
        ({"serviceAccount": {"serviceAccountName": "s"}}, "service-account"),
        ({"sysprep": {"configMap": {"name": "c"}}}, "sysprep"),
    ],
)
async def test_configuration_becomes_a_disk_without_the_kubelets_links(
    pod: Pod, volume: dict[str, Any], folder: str
) -> None:
    place = pod.places.private / folder / "v"
    (place / "..2026").mkdir(parents=True)
    (place / "..2026/key").write_text("value")
    (place / "..data").symlink_to("..2026")
    (place / "key").symlink_to("..data/key")
    await pod.prepare(volume)
    assert pod.iso_files == {"key": "value"}


async def test_metrics_of_the_host_are_a_disk_that_the_guest_may_only_read(pod: Pod) -> None:
    pod.places.ephemeral_disks.mkdir(exist_ok=True)
    source = await pod.prepare({"downwardMetrics": {}})
    assert source.read_only
    assert pod.content(source.path).startswith(b"mvbd")


async def test_a_volume_that_cannot_be_a_disk_is_named(pod: Pod) -> None:
    with pytest.raises(InvalidSpec) as error:
        await pod.prepare({"memoryDump": {"claimName": "c"}})
    assert error.value.field == "spec.volumes[0]"


PLUGGED = {"persistentVolumeClaim": {"claimName": "c", "hotpluggable": True}}
HOST_DISK = {"hostDisk": {"path": "/data/disk.img", "type": "Disk"}}
EPHEMERAL = {"ephemeral": {"persistentVolumeClaim": {"claimName": "c"}}}
CLAIM_SOURCES = [
    pytest.param({"persistentVolumeClaim": {"claimName": "c"}}, id="claim"),
    pytest.param({"dataVolume": {"name": "c"}}, id="data volume"),
    pytest.param(PLUGGED, id="plugged claim"),
    pytest.param(HOST_DISK, id="host disk"),
    pytest.param(EPHEMERAL, id="ephemeral"),
]


def folder_of(pod: Pod, volume: dict[str, Any]) -> Path:
    root = pod.places.hotplug_disks if volume is PLUGGED else pod.places.vmi_disks
    (root / "v").mkdir(parents=True, exist_ok=True)
    return root / "v"


@pytest.mark.parametrize("volume", CLAIM_SOURCES)
async def test_nothing_but_a_regular_file_is_taken_for_a_disk(pod: Pod, volume: dict[str, Any], tmp_path: Path) -> None:
    """Whoever can write to a claim could point the guest at a file of the launcher's container."""
    disk = folder_of(pod, volume) / "disk.img"
    (tmp_path / "secret").write_text("s")
    disk.symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidImage, match="a symbolic link"):
        await pod.prepare(volume)
    disk.unlink()
    disk.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidImage, match="a symbolic link"):
        await pod.prepare(volume)
    disk.unlink()
    os.mkfifo(disk)
    with pytest.raises(InvalidImage, match="a pipe"):
        await pod.prepare(volume)
    disk.unlink()
    disk.mkdir()
    with pytest.raises(InvalidImage, match="a folder"):
        await pod.prepare(volume)


@pytest.mark.parametrize("volume", CLAIM_SOURCES)
async def test_a_disk_of_absurd_size_is_refused(pod: Pod, volume: dict[str, Any]) -> None:
    disk = folder_of(pod, volume) / "disk.img"
    disk.touch()
    with pytest.raises(InvalidImage, match="0 bytes"):
        await pod.prepare(volume)


@pytest.mark.parametrize("volume", CLAIM_SOURCES)
async def test_an_image_header_in_a_claim_means_nothing(pod: Pod, volume: dict[str, Any]) -> None:
    """It is the guest's own data: read as raw, a backing file that it names is never opened."""
    disk = folder_of(pod, volume) / "disk.img"
    disk.write_bytes(b"QFI\xfb".ljust(4096, b"\0"))
    source = await pod.prepare(volume)
    assert (source.backing or source).format == "raw"
    if source.backing is not None:
        assert "-F raw" in " ".join(pod.created()[0])


async def test_a_plugged_volume_is_looked_for_in_its_own_place(pod: Pod) -> None:
    source = await pod.prepare(PLUGGED) if folder_of(pod, PLUGGED) else None
    assert source == DiskSource(str(pod.places.hotplug_disks / "v/disk.img"))
    assert not (pod.places.vmi_disks / "v/disk.img").exists()
