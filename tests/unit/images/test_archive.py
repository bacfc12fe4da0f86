"""Layers and OCI archives: readable by everybody, the same bytes for the same content."""

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from kobune_images.archive import EPOCH_S, Entry, ImageConfig, layer_from_file, tree_entries, write_archive, write_layer


def read_json(archive: tarfile.TarFile, name: str) -> Any:
    content = archive.extractfile(name)
    assert content is not None
    return json.load(content)


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return {member.name: member for member in tar}


def test_a_layer_has_parents_before_children_fixed_times_and_the_given_owners(tmp_path: Path) -> None:
    entries = [Entry("disk/demo.qcow2", b"x", mode=0o440, uid=107, gid=107), Entry("bin/sh", link="/bin/busybox")]
    layer = write_layer(tmp_path / "layer.tar", entries)
    found = members(layer.path)
    assert list(found) == ["disk", "disk/demo.qcow2", "bin", "bin/sh"]
    assert {member.mtime for member in found.values()} == {EPOCH_S}
    disk = found["disk/demo.qcow2"]
    assert (disk.uid, disk.gid, disk.mode) == (107, 107, 0o440)
    assert found["bin/sh"].linkname == "/bin/busybox"
    assert layer.digest == hashlib.sha256(layer.path.read_bytes()).hexdigest()
    assert layer == layer_from_file(layer.path)


def test_a_directory_that_is_listed_after_it_was_needed_comes_once(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar", [Entry("a/b", b""), Entry("a"), Entry("a/c"), Entry("a/c")])
    with tarfile.open(layer.path) as tar:
        assert tar.getnames() == ["a", "a/b", "a/c"]


def test_the_same_tree_gives_the_same_bytes_whenever_and_in_whatever_order_it_was_made(tmp_path: Path) -> None:
    digests = []
    for number, names in enumerate((["b", "a/c"], ["a/c", "b"])):
        root = tmp_path / str(number)
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
            os.utime(root / name, (number, number))
        layer = write_layer(tmp_path / f"{number}.tar", tree_entries(root))
        write_archive(tmp_path / f"{number}.oci", "example/name:tag", [layer], ImageConfig(command=("/b",)))
        digests.append((layer.digest, hashlib.sha256((tmp_path / f"{number}.oci").read_bytes()).hexdigest()))
    assert digests[0] == digests[1]


def test_an_archive_names_the_image_and_every_blob_is_what_its_digest_says(tmp_path: Path) -> None:
    # Sizes around tar's block size: the bulk is copied past the tar writer.
    layers = [write_layer(tmp_path / f"{size}.tar", [Entry("f", bytes(size))]) for size in (0, 1, 511, 512, 20_000)]
    target = tmp_path / "image.tar"
    config = ImageConfig(entrypoint=("/pause", "-P"), user="107:107", env=("A=b",))
    write_archive(target, "localhost/kobune/pause:abc", layers, config)
    with tarfile.open(target) as archive:
        index = read_json(archive, "index.json")
        (described,) = index["manifests"]
        assert described["annotations"]["io.containerd.image.name"] == "localhost/kobune/pause:abc"
        manifest = read_json(archive, "blobs/" + described["digest"].replace(":", "/"))
        parts = [described, manifest["config"], *manifest["layers"]]
        for part in parts:
            content = archive.extractfile("blobs/" + part["digest"].replace(":", "/"))
            assert content is not None
            data = content.read()
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == part["digest"]
            assert len(data) == part["size"]
        described_config = read_json(archive, "blobs/" + manifest["config"]["digest"].replace(":", "/"))
    assert described_config["rootfs"]["diff_ids"] == [f"sha256:{layer.digest}" for layer in layers]
    assert described_config["config"]["Entrypoint"] == ["/pause", "-P"]
    assert described_config["config"]["User"] == "107:107"
    assert target.stat().st_size % tarfile.RECORDSIZE == 0


def test_a_layer_used_twice_is_stored_once(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar", [Entry("f", b"x")])
    write_archive(tmp_path / "image.tar", "a:b", [layer, layer], ImageConfig())
    with tarfile.open(tmp_path / "image.tar") as archive:
        assert archive.getnames().count(f"blobs/sha256/{layer.digest}") == 1
