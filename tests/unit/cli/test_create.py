"""Manifests from flags: what they hold, that they are valid, and what is refused with the way out."""

import re
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
    "import-with-guesses": ["--name", "a", "--volume-import", "type:pvc,src:os/root,name:root"],
    "import-that-says-nothing": [
        *("--name", "a", "--volume-import"),
        "type:http,url:https://h/d.qcow2?x=1,size:10Gi,name:root,extraheaders:A: b;C: d",
    ],
    "order": [
        *("--name", "a", "--volume-import", "type:registry,url:docker://r/d:1,size:5Gi,pullmethod:node,name:third"),
        *("--volume-pvc", "src:second", "--volume-containerdisk", "src:r/e:1"),
    ],
    "import-that-must-be-known": [
        *("--name", "a", "--infer-instancetype", "--infer-preference"),
        *("--volume-import", "type:ds,src:os/fedora,name:root"),
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


def test_what_is_left_out_and_what_can_be_read_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("word\n")
    result = CliRunner().invoke(app, ["create", "vm", "--cloud-init", "none", "--password-file", str(secret)])
    assert result.exit_code == 0
    assert "volumes" not in yaml.safe_load(result.stdout)["spec"]["template"]["spec"]
    assert "plain text" in result.stderr
    assert "left out" in result.stderr


@pytest.mark.parametrize(
    ("word", "prefix"), [("vm", "vm"), ("instancetype", "clusterinstancetype"), ("clone", "clone")]
)
def test_made_up_names_are_as_virtctl_makes_them(word: str, prefix: str) -> None:
    arguments = {"instancetype": ["--cpu=1", "--memory=1Gi"], "clone": ["--source-name", "a"]}.get(word, [])
    assert re.fullmatch(f"{prefix}-[bcdfghjklmnpqrstvwxz2456789]{{5}}", create(word, *arguments)["metadata"]["name"])


def test_imports_get_names() -> None:
    (volume,) = create("vm", "--volume-import=type:blank,size:1Gi")["spec"]["template"]["spec"]["volumes"]
    assert re.fullmatch(r"imported-volume-\w{5}", volume["name"])


def test_the_namespace_stands_before_or_behind_the_verb() -> None:
    for arguments in (["-n=b", "create", "vm"], ["create", "--namespace", "b", "vm"], ["create", "vm", "-n=b"]):
        result = CliRunner().invoke(app, [*arguments])
        assert yaml.safe_load(result.output)["metadata"]["namespace"] == "b"


def test_sizes_of_a_namespace() -> None:
    document = create("instancetype", "-n", "b", "--cpu", "1", "--memory", "1Gi")
    assert document["kind"] == "VirtualMachineInstancetype"
    assert document["metadata"]["namespace"] == "b"


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
        (["--memory", "1Gi", "--instancetype", "u1"], "--memory and --instancetype exclude each other"),
        (["--memory", "1Gi", "--infer-instancetype", "--volume-pvc", "src:a"], "exclude each other"),
        (["--preference", "a", "--infer-preference=true", "--volume-pvc", "src:a"], "exclude each other"),
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
        (["--infer-preference-from", "x", "--volume-pvc", "src:a"], "volumes are a"),
        (["--infer-instancetype", "--volume-containerdisk", "src:a,name:b"], "from volume 'b'"),
        (["--volume-import", "type:http,url:u"], "needs size:..."),
        (["--volume-import", "type:registry,size:1Gi"], "either url:... or imagestream:..."),
        (["--volume-import", "type:blank,size:big"], "write it like 512Mi"),
        (["--volume-pvc", "src:ns/a"], "write src:NAME"),
        (["--volume-pvc", "src:a.b"], "give another one by name:..."),
        (["--memory", "much"], "--memory: 'much' is no amount"),
        (["--access-cred", "src:a,method:configDrive", "--cloud-init", "noCloud"], "needs --cloud-init configDrive"),
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
