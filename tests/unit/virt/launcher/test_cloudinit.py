"""The files that a guest's cloud-init reads."""

import json
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt.volumes import CloudInitConfigDriveSource, CloudInitNoCloudSource
from kobune.virt.domain.document import InvalidSpec
from kobune.virt.launcher.cloudinit import config_drive_files, no_cloud_files
from support.vmis import UID, vmi

FIELD = "spec.volumes[0]"


def no_secret(kind: str, keys: tuple[str, ...]) -> bytes | None:
    del kind, keys
    return None


def no_cloud(source: dict[str, Any], read_secret: Any = no_secret) -> dict[str, bytes]:
    return no_cloud_files(vmi(), msgspec.convert(source, CloudInitNoCloudSource), FIELD, read_secret)


def test_no_cloud_has_user_data_and_the_instances_identity() -> None:
    files = no_cloud({"userData": "#cloud-config\n"})
    assert sorted(files) == ["meta-data", "user-data"]
    assert files["user-data"] == b"#cloud-config\n"
    assert json.loads(files["meta-data"]) == {"instance-id": "vm.default", "local-hostname": "vm"}


def test_network_data_is_a_file_of_its_own() -> None:
    assert no_cloud({"userData": "x", "networkData": "version: 2\n"})["network-config"] == b"version: 2\n"


def test_base64_is_decoded_with_its_line_breaks() -> None:
    assert no_cloud({"userDataBase64": "aGVs\nbG8="})["user-data"] == b"hello"


def test_secrets_are_read_by_either_spelling_of_their_key() -> None:
    def read(kind: str, keys: tuple[str, ...]) -> bytes | None:
        return {"user": b"secret", "network": b"net"}[kind] if keys[1].endswith("Data") else None

    files = no_cloud({"secretRef": {"name": "s"}, "networkDataSecretRef": {"name": "n"}}, read)
    assert (files["user-data"], files["network-config"]) == (b"secret", b"net")


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({"userDataBase64": "&&&"}, f"{FIELD}.cloudInitNoCloud.userDataBase64"),
        ({"networkDataBase64": "a"}, f"{FIELD}.cloudInitNoCloud.networkDataBase64"),
        ({"secretRef": {"name": "s"}}, f"{FIELD}.cloudInitNoCloud.secretRef"),
    ],
)
def test_what_is_wrong_is_named(source: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        no_cloud(source)
    assert error.value.field == field


def test_a_config_drive_is_laid_out_as_openstacks() -> None:
    source = CloudInitConfigDriveSource(user_data="#!/bin/sh\n", network_data="{}")
    files = config_drive_files(vmi(), source, FIELD, no_secret)
    assert sorted(files) == [
        "openstack/latest/meta_data.json",
        "openstack/latest/network_data.json",
        "openstack/latest/user_data",
    ]
    assert json.loads(files["openstack/latest/meta_data.json"])["uuid"] == UID
