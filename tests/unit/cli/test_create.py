"""Manifests from flags: what they hold, that they are valid, and what is refused with the way out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner

from kobune.api.instancetype import VirtualMachineClusterInstancetype, VirtualMachinePreference
from kobune.api.kubevirt import VirtualMachine
from kobune.cli.app import app


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["create", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def create(*arguments: str) -> dict[str, Any]:
    document = yaml.safe_load(printed(*arguments))
    assert isinstance(document, dict)
    return document


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["create", *arguments])
    assert result.exit_code == 2, result.output
    return result.output


CASES = {
    "smallest": ["--name", "a"],
    "container-disk-and-login": [
        *("--name", "a", "--memory", "128Mi", "--volume-containerdisk", "src:kobune/demo:1,bootorder:1"),
        *("--user", "kobune", "--ssh-key", "ssh-ed25519 AAAA me", "--run-strategy", "Manual"),
    ],
    "sized-by-name": [
        *("--name", "a", "--instancetype", "u1.medium", "--preference", "virtualmachinepreference/linux"),
        *("--volume-pvc", "src:data", "--termination-grace-period", "5"),
    ],
    "import-with-guesses": ["--name", "a", "--volume-import", "type:http,url:https://h/d.qcow2?x=1,size:10Gi"],
    "import-that-must-be-known": [
        *("--name", "a", "--infer-instancetype", "--infer-preference", "--volume-import", "type:ds,src:os/fedora"),
        *("--volume-import", "type:blank,size:1Gi,name:data,storageclass:fast"),
    ],
    "cloud-init": [
        *("--name", "a", "--cloud-init", "configDrive", "--cloud-init-user-data", "I2Nsb3VkLWNvbmZpZwo="),
        *("--cloud-init-network-data", "version: 2"),
    ],
    "windows": ["--name", "a", "--volume-sysprep", "src:answers,type:secret", "--volume-pvc", "src:c"],
}


@pytest.mark.parametrize("name", CASES)
def test_a_machine(name: str, golden: Callable[[str, str], None]) -> None:
    text = printed("vm", *CASES[name])
    msgspec.convert(yaml.safe_load(text), VirtualMachine)
    golden(f"create-vm-{name}.yaml", text)


def test_user_data_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    path.write_text("#cloud-config\nhostname: a\n")
    volumes = create("vm", "--cloud-init-user-data", f"@{path}")["spec"]["template"]["spec"]["volumes"]
    assert volumes == [{"name": "cloudinitdisk", "cloudInitNoCloud": {"userData": "#cloud-config\nhostname: a\n"}}]


def test_a_machine_without_a_name_gets_one() -> None:
    assert create("vm")["metadata"]["name"] != create("vm")["metadata"]["name"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--memory", "1Gi", "--instancetype", "u1"], "exclude each other"),
        (["--volume-containerdisk", "kobune/demo"], "keys are src, name, bootorder"),
        (["--volume-containerdisk", "name:a"], "add src:..."),
        (["--volume-containerdisk", "src:a,size:1"], "unknown key 'size'"),
        (["--volume-containerdisk", "src:a,bootorder:0"], "must be greater than 0"),
        (["--volume-pvc", "src:a,bootorder:1", "--volume-pvc", "src:b,bootorder:1"], "given twice"),
        (["--volume-pvc", "src:a", "--volume-pvc", "src:a"], "already a volume named 'a'"),
        (["--volume-import", "type:http,size:1Gi"], "needs url:..."),
        (["--volume-import", "type:ftp"], "types are blank, http"),
        (["--volume-import", "type:pvc,src:a"], "write src:NAMESPACE/NAME"),
        (["--infer-preference"], "add --volume-import or --volume-pvc"),
        (["--cloud-init", "none", "--user", "a"], "leave one out"),
        (["--cloud-init-user-data", "#cloud-config", "--user", "a"], "put them into it"),
        (["--cloud-init-user-data", "@/does/not/exist"], "cannot read /does/not/exist"),
    ],
)
def test_what_is_refused_names_the_way_out(arguments: list[str], hint: str) -> None:
    assert hint in refused("vm", *arguments)


def test_an_instancetype() -> None:
    document = create("instancetype", "--name", "a", "--cpu", "2", "--memory", "4Gi", "--gpu", "name:g,devicename:v/g")
    msgspec.convert(document, VirtualMachineClusterInstancetype)
    assert document == {
        "apiVersion": "instancetype.kubevirt.io/v1beta1",
        "kind": "VirtualMachineClusterInstancetype",
        "metadata": {"name": "a"},
        "spec": {"cpu": {"guest": 2}, "memory": {"guest": "4Gi"}, "gpus": [{"name": "g", "deviceName": "v/g"}]},
    }
    assert "greater than 0" in refused("instancetype", "--cpu", "0", "--memory", "1Gi")


def test_a_preference() -> None:
    document = create(
        *("preference", "--name", "a", "--namespaced=true", "-n", "b", "--cpu-topology", "cores"),
        *("--volume-storage-class", "local", "--machine-type", "q35"),
    )
    msgspec.convert(document, VirtualMachinePreference)
    assert document["kind"] == "VirtualMachinePreference"
    assert document["metadata"] == {"name": "a", "namespace": "b"}
    assert document["spec"] == {
        "cpu": {"preferredCPUTopology": "cores"},
        "machine": {"preferredMachineType": "q35"},
        "volumes": {"preferredStorageClassName": "local"},
    }
