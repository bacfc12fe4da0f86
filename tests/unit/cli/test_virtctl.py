"""Verbs and flags that scripts for virtctl use."""

import base64
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from kobune.cli.absent import ABSENT
from kobune.cli.app import app
from kobune.cli.create.clone import CloneRequest, clone_manifest
from kobune.cli.create.machine import MachineRequest, machine_manifest
from kobune.cli.credentials import password_secrets, ssh_secrets, without_key
from kobune.cli.vnc import viewer_command

KEY = "ssh-ed25519 AAAA me@here"
SECRET = {"source": {"secret": {"secretName": "keys"}}}


def credential_of(text: str, **more: Any) -> dict[str, Any]:
    manifest = machine_manifest(MachineRequest(name="m", access_credentials=(text,), **more))
    (found,) = manifest["spec"]["template"]["spec"]["accessCredentials"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("text", "credential"),
    [
        (
            "src:keys,user:me",
            {"sshPublicKey": {**SECRET, "propagationMethod": {"qemuGuestAgent": {"users": ["me"]}}}},
        ),
        ("type:ssh,src:keys,method:nocloud", {"sshPublicKey": {**SECRET, "propagationMethod": {"noCloud": {}}}}),
        ("type:password,src:keys", {"userPassword": {**SECRET, "propagationMethod": {"qemuGuestAgent": {}}}}),
    ],
)
def test_access_credentials(text: str, credential: dict[str, Any]) -> None:
    assert credential_of(text) == credential


def test_the_agent_may_change_keys_where_it_should() -> None:
    manifest = machine_manifest(MachineRequest(name="m", user="me", access_credentials=("src:keys",)))
    (volume,) = manifest["spec"]["template"]["spec"]["volumes"]
    config = yaml.safe_load(volume["cloudInitNoCloud"]["userData"])
    assert config == {"user": "me", "runcmd": [["setsebool", "-P", "virt_qemu_ga_manage_ssh", "on"]]}
    # A volume is there for the server to put keys on, also without anything else.
    plain = machine_manifest(MachineRequest(name="m", access_credentials=("src:keys,method:noCloud",)))
    (volume,) = plain["spec"]["template"]["spec"]["volumes"]
    assert volume["cloudInitNoCloud"] == {"userData": "#cloud-config"}


@pytest.mark.parametrize(
    "text",
    ["src:keys", "src:keys,type:pin", "src:keys,method:fax", "src:k,type:password,user:me", "src:k,method:configDrive"],
)
def test_access_credentials_that_cannot_be(text: str) -> None:
    with pytest.raises(click.UsageError, match="--access-cred"):
        credential_of(text, cloud_init="noCloud")


def test_credentials_choose_the_kind_of_disk() -> None:
    manifest = machine_manifest(MachineRequest(name="m", access_credentials=("src:k,method:configDrive",)))
    (volume,) = manifest["spec"]["template"]["spec"]["volumes"]
    assert volume["cloudInitConfigDrive"] == {"userData": "#cloud-config"}


@pytest.mark.parametrize(
    ("flag", "source"),
    [
        (
            "--volume-datasource=src:ns/ds,size:5Gi",
            {"sourceRef": {"kind": "DataSource", "name": "ds", "namespace": "ns"}},
        ),
        ("--volume-clone-pvc=src:ns/claim", {"source": {"pvc": {"name": "claim", "namespace": "ns"}}}),
        ("--volume-blank=size:5Gi", {"source": {"blank": {}}}),
    ],
)
def test_flags_that_virtctl_has_replaced_still_work(flag: str, source: dict[str, Any]) -> None:
    result = CliRunner().invoke(app, ["create", "vm", "--name", "m", flag, "--cloud-init", "nocloud"])
    assert result.exit_code == 0, result.output
    assert "is deprecated" in result.stderr
    (template,) = yaml.safe_load(result.stdout)["spec"]["dataVolumeTemplates"]
    assert source.items() <= template["spec"].items()


def test_a_clone() -> None:
    request = CloneRequest(
        "c",
        ("snapshot", "before"),
        ("VM", "after"),
        labels=("*", "!a"),
        template_labels=("*",),
        mac_addresses=("default:02:00:00:00:00:01",),
        serial="s",
    )
    assert clone_manifest(request)["spec"] == {
        "source": {"apiGroup": "snapshot.kubevirt.io", "kind": "VirtualMachineSnapshot", "name": "before"},
        "target": {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "after"},
        "labelFilters": ["*", "!a"],
        "template": {"labelFilters": ["*"]},
        "newMacAddresses": {"default": "02:00:00:00:00:01"},
        "newSMBiosSerial": "s",
    }
    with pytest.raises(click.UsageError, match="target type snapshot is not supported"):
        clone_manifest(CloneRequest("c", ("vm", "a"), ("snapshot", "b")))


def test_which_secrets_hold_what() -> None:
    ssh = {"sshPublicKey": {**SECRET, "propagationMethod": {"qemuGuestAgent": {"users": ["me"]}}}}
    cloud = {"sshPublicKey": {**SECRET, "propagationMethod": {"noCloud": {}}}}
    password = {
        "userPassword": {
            "source": {"secret": {"secretName": "words"}},
            "propagationMethod": {"qemuGuestAgent": {}},
        }
    }
    machine = {"spec": {"template": {"spec": {"accessCredentials": [cloud, ssh, password]}}}}
    assert ssh_secrets(machine, "me") == ["keys"]
    assert ssh_secrets(machine, "you") == []
    assert password_secrets(machine) == ["words"]


def test_a_key_is_the_same_with_another_comment() -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    data = {
        "one": encoded("ssh-ed25519 AAAA elsewhere"),
        "two": encoded(f"ssh-rsa BBBB x\n{KEY}"),
        "three": encoded(""),
    }
    assert without_key(data, KEY) == {"one": None, "two": encoded("ssh-rsa BBBB x")}


def test_the_kind_of_viewer() -> None:
    installed = {"remote-viewer": "/bin/remote-viewer", "vncviewer": "/bin/vncviewer"}
    assert viewer_command(installed, "h", 1, "", "tiger") == ["/bin/vncviewer", "h::1"]
    assert viewer_command({}, "h", 1, "", "tiger") is None
    assert viewer_command({}, "h", 1, "/opt/v", "remote-viewer") == ["/opt/v", "vnc://h:1"]


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_verbs_that_are_not_there_say_so(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help", "dv", "x", "--size=1Gi"])
    assert result.exit_code == 1
    assert f"kobune has no {name} yet" in result.output


def test_dumps_are_not_downloaded_yet() -> None:
    for arguments in (["download", "a", "--output=f"], ["get", "a", "--output=f", "--format=raw", "--port-forward"]):
        result = CliRunner().invoke(app, ["memory-dump", *arguments])
        assert result.exit_code == 1
        assert "kubectl cp" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert "_KOBUNE_COMPLETE" in result.output


def test_options_of_a_command_are_completed() -> None:
    environment = {"_KOBUNE_COMPLETE": "bash_complete", "COMP_WORDS": "kobune stop --gr", "COMP_CWORD": "2"}
    result = CliRunner().invoke(app, [], prog_name="kobune", env=environment)
    assert "plain,--grace-period" in result.output
