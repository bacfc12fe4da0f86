"""What a guest that has taken over its QEMU would find: an unprivileged process in a pod with nothing of the node's.

And who may do what to a guest: the rights on subresources.kubevirt.io, and limits on what is sent to it.
"""

import asyncio
import json
import os
import ssl
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.cgroup import Cgroups
from support.fault_guests import DirectApi, command_line
from support.instance import Instance
from support.traces import network, output

NAME = "locked"
QEMU_ID = 107
# Of the image: its user belongs to it, for where /dev/kvm is passed in.
KVM_GROUP = "36"
NET_BIND_SERVICE, SYS_NICE = 10, 23
SUBRESOURCES = "/apis/subresources.kubevirt.io/v1/namespaces/default"
# The loop device, disk and memory of the node would be next to these.
OWN_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "net/tun"}
CONTAINER_DISKS = "/run/kubevirt/container-disks"
TOO_LONG_BYTES = 5 << 20


def machine() -> dict[str, Any]:
    devices = {
        "disks": [{"name": name, "disk": {"bus": "virtio"}} for name in ("root", "spare", "init", "claim")],
        "interfaces": [{"name": "default", "masquerade": {}}],
    }
    spec = {
        "terminationGracePeriodSeconds": 5,
        "domain": {"devices": devices, "memory": {"guest": "128Mi"}},
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [
            {"name": "root", "containerDisk": {"image": "kobune/demo"}},
            {"name": "spare", "emptyDisk": {"capacity": "16Mi"}},
            {"name": "init", "cloudInitNoCloud": {"userData": "#cloud-config\nhostname: locked\n"}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": NAME}},
        ],
    }
    template = {"metadata": {"labels": {"guest": NAME}}, "spec": spec}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": NAME},
        "spec": {"runStrategy": "Always", "template": template},
    }


def claim(name: str, mode: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "volumeMode": mode, "resources": {"requests": {"storage": "16Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def guest(instance: Instance) -> Iterator[Instance]:
    objects = yaml.safe_dump_all([claim(NAME, "Block"), machine()])
    instance.kubectl("apply", "-f", "-", stdin=objects)
    instance.wait_phase(NAME, "Running")
    volume = instance.data_dir / "volumes" / instance.get("pvc", NAME)["spec"]["volumeName"]
    assert volume.exists()
    yield instance
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=objects)
    instance.eventually("its volume is erased", lambda: not volume.exists(), 60)


@pytest.fixture
def pod_uid(guest: Instance) -> str:
    return str(guest.get("pod", "-l", f"guest={NAME}")["items"][0]["metadata"]["uid"])


def processes(instance: Instance, pod_uid: str) -> dict[int, str]:
    """The processes of the launcher's container, without the pause process that holds the pod's namespaces."""
    root = f"{NodeInstance.of(instance.data_dir).cgroup_root}/pod{pod_uid}"
    lines = {pid: command_line(pid) for pid in Cgroups().processes(root)}
    return {pid: line for pid, line in lines.items() if line and not line.startswith("/pause")}


def qemu(instance: Instance, pod_uid: str) -> int:
    [pid] = [pid for pid, line in processes(instance, pod_uid).items() if "qemu-system" in line]
    return pid


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_process_of_the_pod_is_unprivileged(guest: Instance, pod_uid: str) -> None:
    found = processes(guest, pod_uid)
    for word in ("virt-launcher-monitor", "libvirtd", "kobune.virt.launcher", "qemu-system"):
        assert any(word in line for line in found.values()), word
    allowed = 1 << NET_BIND_SERVICE | 1 << SYS_NICE
    for pid, line in found.items():
        told = status_of(pid)
        assert told["Uid"].split() == [str(QEMU_ID)] * 4, line
        assert told["Gid"].split() == [str(QEMU_ID)] * 4, line
        assert set(told["Groups"].split()) <= {str(QEMU_ID), KVM_GROUP}, line
        for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(told[kind], 16) == 0, f"{kind} of {line}"
        assert int(told["CapBnd"], 16) & ~allowed == 0, line
        assert told["NoNewPrivs"] == "1", line
        assert told["Seccomp"] == "2", line


def test_qemu_keeps_itself_from_starting_programs(guest: Instance, pod_uid: str) -> None:
    line = command_line(qemu(guest, pod_uid))
    assert "-sandbox on" in line
    assert "elevateprivileges=deny" in line
    assert "spawn=deny" in line


def test_no_path_of_the_node_is_mounted_but_the_pods_own(guest: Instance, pod_uid: str) -> None:
    data = guest.data_dir
    own = (
        str(data / "kubelet/pods" / pod_uid),
        # The names of the pod and its shared memory, which containerd keeps per pod.
        str(data / "containerd/io.containerd.grpc.v1.cri/sandboxes"),
    )
    # An image of one layer is shown as that layer.
    snapshots = str(data / "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots")
    disk = os.stat(data).st_dev
    seen = set()
    for line in Path(f"/proc/{qemu(guest, pod_uid)}/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        _, _, numbers, root, point, options = before.split()[:6]
        kind = after.split()[0]
        seen.add(point)
        major, _, minor = numbers.partition(":")
        if os.makedev(int(major), int(minor)) == disk and kind != "overlay":
            image = point.startswith(f"{CONTAINER_DISKS}/") and root.startswith(snapshots)
            assert image or root.startswith(own), line
        # The folder of control groups is an empty one of root's; what is mounted in it is read-only.
        own_folder = (point, kind) == ("/sys/fs/cgroup", "tmpfs")
        if point.startswith(("/sys", "/proc/sys", CONTAINER_DISKS)) and not own_folder:
            assert "ro" in options.split(","), line
    assert {"/", "/proc/sys", "/sys", "/run/kubevirt/sockets", f"{CONTAINER_DISKS}/root"} <= seen
    assert not any(word in point for point in seen for word in ("serviceaccount", "containerd", "docker"))


def test_there_is_no_device_but_what_was_granted(guest: Instance, pod_uid: str) -> None:
    folder = Path(f"/proc/{qemu(guest, pod_uid)}/root/dev")
    nodes = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if stat.S_ISCHR(path.lstat().st_mode) or stat.S_ISBLK(path.lstat().st_mode)
    }
    nodes = {name for name in nodes if not name.startswith("pts/")}
    kvm = {"kvm"} if guest.get("vmi", NAME)["spec"] and "kvm" in nodes and kvm_is_proved(guest) else set()
    assert nodes - kvm <= OWN_DEVICES | {"claim"}
    assert "claim" in nodes, "the block device of its claim"
    groups = Cgroups().directories(f"{NodeInstance.of(guest.data_dir).cgroup_root}/pod{pod_uid}")
    lists = [path for top in groups for path in top.glob("*/devices.list")]
    for path in lists:
        for rule in path.read_text().splitlines():
            kind, numbers, rights = rule.split()
            assert kind != "a", rule
            assert "*:*" not in numbers or rights == "m", rule


def kvm_is_proved(instance: Instance) -> bool:
    path = instance.data_dir / "components/virt-handler/state/kvm.json"
    return bool(json.loads(path.read_text())["proved"])


def test_the_pod_holds_no_credentials(guest: Instance, pod_uid: str) -> None:
    pid = qemu(guest, pod_uid)
    root = Path(f"/proc/{pid}/root")
    assert not (root / "var/run/secrets").exists()
    assert not (root / "run/secrets").exists()
    for process in processes(guest, pod_uid):
        environment = Path(f"/proc/{process}/environ").read_bytes().lower()
        assert b"token" not in environment
        assert b"kubeconfig" not in environment


def test_secrets_of_the_instance_are_its_owners_alone(guest: Instance) -> None:
    def secret(path: Path) -> bool:
        return path.suffix in (".key", ".token", ".db", ".kubeconfig") or path.name.startswith(
            ("kubeconfig", "store.db")
        )

    data = guest.data_dir
    folders = [data, *(path for path in (data / "pki", data / "components", data / "run") if path.is_dir())]
    files = [
        path
        for folder in folders
        for path in (folder.iterdir() if folder == data else folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and secret(path)
    ]
    assert len(files) >= 10, files
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("containerd.sock", "supervisor.sock"):
        path = data / "run" / name
        if path.exists():
            assert path.stat().st_mode & 0o007 == 0, path
            assert path.stat().st_gid == 0 or path.stat().st_mode & 0o070 == 0, path


# --- the network ---


def test_a_guest_reaches_no_port_of_the_nodes_own(guest: Instance) -> None:
    """Name service and the API are for pods, and so for guests; nothing else of Kobune is on the node's addresses.

    But for the kubelet, which says nothing to who has no credentials, as the API does.
    """
    net = network(guest)
    gateway = f"{net['prefix']}1"
    ports = json.loads((guest.data_dir / "ports.json").read_text())
    uplink = json.loads(output("ip", "-json", "route", "get", "192.0.2.1"))[0].get("prefsrc", gateway)
    kubelet = ports.pop("kubelet_port")
    hidden = sorted(ports.values())
    console = guest.console(NAME).login()

    def is_open(address: str, port: int) -> bool:
        line = f"echo | nc -w 3 {address} {port} >/dev/null 2>&1 && echo open || echo closed"
        return console.run(line).strip() == "open"

    try:
        assert is_open(gateway, 53), "name service"
        assert len(hidden) == 2
        for address in dict.fromkeys((gateway, uplink)):
            for port in hidden:
                assert not is_open(address, port), f"{address}:{port}"
    finally:
        console.close()
    for path in ("/pods", "/healthz", "/metrics", f"/run/default/x/{NAME}"):
        assert status_without_credentials(uplink, kubelet, path) in (None, 401, 403), path
    for path in ("/api/v1/secrets", "/apis/kubevirt.io/v1/virtualmachines", "/metrics"):
        assert status_without_credentials("127.0.0.1", guest.listen_port, path) in (401, 403), path


def status_without_credentials(address: str, port: int, path: str) -> int | None:
    """The status of a request without a client certificate; None when it did not get that far."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://{address}:{port}{path}", timeout=10, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


# --- rights ---

LOOKS = ("guestosinfo", "userlist", "filesystemlist", "objectgraph")
STREAMS = ("console", "vnc", "vnc/screenshot", "portforward/22")
ACTS = ("pause", "unpause", "softreboot", "reset", "freeze", "unfreeze", "addvolume", "removevolume")
MACHINE_ACTS = ("start", "stop", "restart", "addvolume", "removevolume")


def token_of(instance: Instance, account: str) -> str:
    instance.kubectl("create", "serviceaccount", account)
    return instance.kubectl("create", "token", account).strip()


def answer(instance: Instance, token: str, method: str, path: str) -> int:
    """The status of a request whose body is no request at all, so that nothing happens where it is allowed."""
    api = DirectApi(instance)
    request = urllib.request.Request(
        f"{api.server}{path}",
        method=method,
        data=b"[" if method == "PUT" else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30, context=api.context) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def requests() -> Iterator[tuple[str, str, str]]:
    """Kind, method and path of every request that needs a right."""
    instance, machine_path = f"{SUBRESOURCES}/virtualmachineinstances/{NAME}", f"{SUBRESOURCES}/virtualmachines/{NAME}"
    yield from (("looks", "GET", f"{instance}/{verb}") for verb in LOOKS)
    yield ("looks", "GET", f"{machine_path}/expand-spec")
    yield from (("streams", "GET", f"{instance}/{verb}") for verb in STREAMS)
    yield ("streams", "GET", f"{machine_path}/portforward/22")
    yield from (("acts", "PUT", f"{instance}/{verb}") for verb in ACTS)
    yield from (("acts", "PUT", f"{machine_path}/{verb}") for verb in MACHINE_ACTS)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("", set()), ("view", {"looks"}), ("edit", {"looks", "streams", "acts"}), ("admin", {"looks", "streams", "acts"})],
)
def test_what_may_be_done_to_a_guest_is_what_the_role_gives(guest: Instance, role: str, allowed: set[str]) -> None:
    account = f"who-has-{role or 'nothing'}"
    token = token_of(guest, account)
    if role:
        guest.kubectl(
            "create", "rolebinding", account, f"--clusterrole=kubevirt.io:{role}", f"--serviceaccount=default:{account}"
        )
    for kind, method, path in requests():
        # Verbs that take no body would be carried out: only who may not is asked to show it.
        if kind == "acts" and kind in allowed and not path.endswith(("addvolume", "removevolume")):
            continue
        code = answer(guest, token, method, path)
        assert (code != 403) is (kind in allowed), f"{method} {path} as {role or 'nobody'}: {code}"
        # The rights end at the namespace.
        other = path.replace("/namespaces/default/", "/namespaces/kube-system/")
        assert answer(guest, token, method, other) == 403, other
    assert guest.get("vmi", NAME)["status"]["phase"] == "Running"


# --- limits ---


def test_a_message_over_the_limit_ends_the_session_and_nothing_else(guest: Instance) -> None:
    api = DirectApi(guest)
    url = f"{api.server}{SUBRESOURCES}/virtualmachineinstances/{NAME}/console"

    async def shout() -> int | None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                url,
                ssl=api.context,
                headers={"Authorization": f"Bearer {api.token}"},
                protocols=("plain.kubevirt.io",),
                timeout=aiohttp.ClientWSTimeout(ws_close=30),
            ) as socket,
        ):
            transport = socket._writer.transport
            try:
                await socket.send_bytes(b"#" * TOO_LONG_BYTES)
                async with asyncio.timeout(60):
                    async for _ in socket:
                        pass
                return socket.close_code
            finally:
                # What was not sent yet would keep it open beyond the loop's end.
                transport.abort()
                await asyncio.sleep(0.1)

    try:
        code = asyncio.run(shout())
    except (aiohttp.ClientError, ConnectionError, ssl.SSLError):
        code = None
    assert code != 1000, "it was not taken"
    handler = guest.component_pid("virt-handler")
    console = guest.console(NAME).login()
    assert console.run("hostname") == "locked"
    console.close()
    assert guest.component_pid("virt-handler") == handler
