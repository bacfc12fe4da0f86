"""What verbs make of their arguments, without a server."""

from typing import Any

import click
import pytest
from aiohttp import WSCloseCode
from click.testing import CliRunner

from kobune.base.errors import KobuneError
from kobune.cli.app import app
from kobune.cli.console import why_it_ended
from kobune.cli.expose import service_for
from kobune.cli.hints import explained
from kobune.cli.memorydump import dump_claim
from kobune.cli.portforward import PortPair, parse_ports
from kobune.cli.ssh import Login, scp_arguments, ssh_arguments
from kobune.cli.targets import Target, older_reading, parse_target
from kobune.cli.usbredir import device_words
from kobune.cli.vnc import viewer_command
from kobune.cli.volumes import add_volume_options, has_volume
from kobune.kube.client.errors import Conflict, Forbidden, NotFound, Unavailable

VMI, VM = "virtualmachineinstances", "virtualmachines"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("demo", Target(VMI, "demo")),
        ("vm/demo", Target(VM, "demo")),
        ("VMI/demo/ns", Target(VMI, "demo", "ns")),
        ("root@vm/demo", Target(VM, "demo", user="root")),
        ("a@b@virtualmachine/demo.x/ns", Target(VM, "demo.x", "ns", "a@b")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


def test_a_name_with_a_dot_may_be_an_old_form() -> None:
    assert older_reading(parse_target("me@vm/a.b.ns")) == Target(VM, "a.b", "ns", "me")
    assert older_reading(parse_target("vm/demo")) is None


@pytest.mark.parametrize("text", ["", "pod/demo", "vm/", "vm/a/b/c", "@vm/a", "a/b"])
def test_what_is_no_target_is_told(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("22", PortPair(22, 22)),
        ("8080:80", PortPair(8080, 80)),
        ("tcp/0:80", PortPair(0, 80)),
        ("udp/5353:53", PortPair(5353, 53, "udp")),
    ],
)
def test_ports(text: str, pair: PortPair) -> None:
    assert parse_ports(text) == pair


@pytest.mark.parametrize("text", ["", "http", "0", "1:0", "70000", "1:70000", "udp/", "sctp/53", "1:2:3"])
def test_what_is_no_port_is_told(text: str) -> None:
    with pytest.raises(click.UsageError):
        parse_ports(text)


LOGIN = Login(("/bin/kobune",), ("--kubeconfig", "/k c"), port=2222, username="me", options=("-o A=b -v",))


def test_ssh_goes_through_port_forward() -> None:
    assert ssh_arguments(LOGIN, parse_target("root@vm/demo/ns"), "other", "uname -a") == [
        "-o",
        "ProxyCommand=/bin/kobune port-forward --kubeconfig '/k c' --stdio=true vm/demo/ns 2222",
        *("-o", "A=b", "-v", "-l", "root", "vm.demo.ns", "uname -a"),
    ]


def test_scp_knows_which_side_is_the_guest() -> None:
    login = Login(("kobune",), username="me", identity_file="/key", known_hosts="/hosts")
    start = ["-o", "ProxyCommand=kobune port-forward --stdio=true vmi/demo/ns 22", "-o", "UserKnownHostsFile=/hosts"]
    key = ["-i", "/key"]
    assert scp_arguments(login, "./f", "vmi/demo:/tmp", "ns", recursive=True, preserve=False) == [
        *start, *key, "-r", "--", "./f", "me@vmi.demo.ns:/tmp",
    ]  # fmt: skip
    assert scp_arguments(login, "root@demo:f", "/tmp/", "ns", recursive=False, preserve=True) == [
        *start, *key, "-p", "--", "root@vmi.demo.ns:f", "/tmp/",
    ]  # fmt: skip
    for both in (("a", "b"), ("vm/a:x", "vm/b:y")):
        with pytest.raises(click.UsageError, match="one of source and destination"):
            scp_arguments(login, *both, "ns", recursive=False, preserve=False)


def test_the_first_installed_viewer_is_taken() -> None:
    installed = {"vncviewer": "/usr/bin/vncviewer", "remote-viewer": "/usr/bin/remote-viewer"}
    assert viewer_command(installed, "127.0.0.1", 5900) == ["/usr/bin/remote-viewer", "vnc://127.0.0.1:5900"]
    del installed["remote-viewer"]
    assert viewer_command(installed, "127.0.0.1", 5900) == ["/usr/bin/vncviewer", "127.0.0.1::5900"]
    assert viewer_command({}, "127.0.0.1", 5900) is None
    assert viewer_command({}, "h", 1, "/opt/remote-viewer") == ["/opt/remote-viewer", "vnc://h:1"]


def test_volumes_to_plug() -> None:
    more = {"disk_type": "disk", "bus": "scsi", "serial": ""}
    claim = add_volume_options("d", "PersistentVolumeClaim", disk_name="", cache="none", **more)
    assert claim == {
        "name": "d",
        "disk": {"name": "d", "disk": {"bus": "scsi"}, "serial": "d", "cache": "none"},
        "volumeSource": {"persistentVolumeClaim": {"claimName": "d", "hotpluggable": True}},
    }
    more = {"disk_type": "lun", "bus": "scsi", "serial": "s"}
    volume = add_volume_options("d", "DataVolume", disk_name="x", cache="", **more)
    assert volume["volumeSource"] == {"dataVolume": {"name": "d", "hotpluggable": True}}
    assert volume["name"] == "x"
    assert volume["disk"] == {"name": "x", "lun": {"bus": "scsi"}, "serial": "s"}


def test_a_volume_is_taken_from_where_it_is() -> None:
    template = {"spec": {"volumes": [{"name": "root"}]}}
    assert has_volume(owner(template=template), "root")
    assert not has_volume(owner(template=template), "data")
    assert not has_volume(owner(), "root")


def owner(kind: str = "VirtualMachine", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "demo", "namespace": "ns"}, "spec": spec}


def test_a_service_selects_the_machine_s_pods() -> None:
    assert service_for(owner(), "web", port=80, target_port="8080", kind="NodePort", node_port=30080) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {
            "type": "NodePort",
            "selector": {"vm.kubevirt.io/name": "demo"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30080}],
        },
    }


def test_a_service_takes_the_ports_of_the_interfaces() -> None:
    interfaces = [
        {"name": "blue", "ports": [{"port": 1}]},
        {"name": "default", "ports": [{"port": 80, "name": "web"}, {"port": 53, "protocol": "UDP"}]},
    ]
    networks = [{"name": "blue", "multus": {"networkName": "blue"}}, {"name": "default", "pod": {}}]
    template = {"spec": {"domain": {"devices": {"interfaces": interfaces}}, "networks": networks}}
    ports = service_for(owner(template=template), "a", port=None)["spec"]["ports"]
    assert ports == [
        {"name": "web", "port": 80, "protocol": "TCP", "targetPort": 80},
        {"name": "port-2", "port": 53, "protocol": "UDP", "targetPort": 53},
    ]
    with pytest.raises(click.ClickException, match="give --port"):
        service_for(owner(), "a", port=None)


def test_a_replica_set_is_exposed_by_its_labels() -> None:
    kind = "VirtualMachineInstanceReplicaSet"
    service = service_for(owner(kind, selector={"matchLabels": {"app": "a"}}), "a", port=80)
    assert service["spec"]["selector"] == {"app": "a"}
    with pytest.raises(click.ClickException, match="match expressions"):
        service_for(owner(kind, selector={"matchExpressions": [{"key": "a"}]}), "a", port=80)
    with pytest.raises(click.ClickException, match="add spec"):
        service_for(owner(kind), "a", port=80)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (Unavailable(0, "ConnectionFailed", "no route"), "kobune status"),
        (NotFound(404, "NotFound", 'virtualmachineinstance.kubevirt.io "a" not found'), "kobune start"),
        (NotFound(404, "NotFound", 'virtualmachine.kubevirt.io "a" not found'), "kubectl get vm"),
        (
            Forbidden(403, "Forbidden", 'x: User "a" cannot update resource "vms/start" in the namespace "ns"'),
            "rolebinding NAME -n ns --clusterrole=kubevirt.io:edit --user=a",
        ),
        (
            Forbidden(403, "Forbidden", 'x: User "system:serviceaccount:a:b" cannot get resource "vms"'),
            "--clusterrole=kubevirt.io:view --serviceaccount=a:b",
        ),
        (Unavailable(0, "ConnectionFailed", "certificate verify failed: self-signed"), "--certificate-authority"),
        (Unavailable(0, "Timeout", "no answer within 1 s"), "--request-timeout"),
        (Unavailable(503, "ServiceUnavailable", "10.0.0.1 port 22 does not answer: refused"), "may still boot"),
        (Conflict(409, "Conflict", "VM is already running"), "kobune why vm"),
        (Conflict(409, "Conflict", "the guest agent is not connected"), "qemu-guest-agent"),
    ],
)
def test_errors_name_the_way_out(error: KobuneError, hint: str) -> None:
    assert explained(error).startswith(f"{error}\n")
    assert hint in explained(error)


def test_an_error_without_a_known_way_out_is_itself() -> None:
    assert explained(Conflict(409, "Conflict", "something else")) == "something else"


@pytest.mark.parametrize(
    ("broken", "code", "phase", "words"),
    [
        ("", WSCloseCode.POLICY_VIOLATION, "Running", "Another client took"),
        ("", WSCloseCode.OK, "Succeeded", "has shut down"),
        ("", WSCloseCode.OK, "Failed", "failed; `kobune why vm a`"),
        ("reset by peer", None, "", "is gone"),
        ("reset by peer", None, "Running", "Connection lost: reset by peer"),
        ("", WSCloseCode.OK, "Running", "the server restarts"),
    ],
)
def test_a_console_that_ended_says_why_and_how_to_come_back(
    broken: str, code: int | None, phase: str, words: str
) -> None:
    text = why_it_ended("a", broken, code, phase)
    assert words in text
    assert "`kobune console a` connects again" in text


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["stop", "a", "--force=true"], "add --grace-period 0"),
        (["restart", "a", "--grace-period=0", "--force=false"], "add --force"),
        (["expose", "pod", "a", "--name", "b"], "use vm, vmi or vmirs"),
        (["port-forward", "--stdio=true", "vm/a", "1", "2"], "one port"),
        (["why", "pod", "a"], "give vm NAME"),
        (["ssh", "vm/a", "--vsock"], "by their network"),
        (["memory-dump", "get", "a", "--create-claim"], "needs --claim-name"),
        (["expose", "vm", "a", "--name", "b", "--ip-family", "ipv5"], "--ip-family 'ipv5'"),
        (["addvolume", "a", "--volume-name", "b", "--persist", "--ephemeral"], "exclude each other"),
        (["start", "a", "--request-timeout", "soon", "-s", "http://127.0.0.1:1"], "--request-timeout"),
    ],
)
def test_arguments_that_make_no_sense(arguments: list[str], hint: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert hint in result.output


@pytest.mark.parametrize("device", ["0951:1666", "951:1", "2-3", "02-03"])
def test_a_usb_device_is_named_by_its_ids_or_its_place(device: str) -> None:
    assert device_words(device) == ["--device", device]


@pytest.mark.parametrize("device", ["", "--to", "0951", "0951:1666:1", "g:1", "2-3-4"])
def test_what_names_no_usb_device(device: str) -> None:
    with pytest.raises(click.UsageError, match="lsusb"):
        device_words(device)


def test_the_claim_of_a_dump_has_room_for_it() -> None:
    claim = dump_claim("dumps", "128Mi", "", "ReadWriteOnce")
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "228Mi"}}}
    assert dump_claim("dumps", "1Gi", "local", "ReadWriteMany")["spec"]["storageClassName"] == "local"
