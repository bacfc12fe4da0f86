"""The whole story of a machine, told twice: with a manifest as KubeVirt's users write it, and with an old one.

Logged into by console and by ssh, reached by a pod under a Service's name and reaching it, paused, stopped, started,
restarted and deleted; every step is looked at from inside of the guest or from the pod.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from support.instance import ROOT, Instance

SEED = Path(os.environ.get("KOBUNE_SHARED", ROOT.parent / "shared")) / "examples/seed-vm.yaml"
PLAIN = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: plain
spec:
  runStrategy: Manual
  template:
    metadata:
      labels:
        app: plain
    spec:
      terminationGracePeriodSeconds: 30
      domain:
        devices:
          disks:
          - name: containerdisk
            disk:
              bus: virtio
          - name: cloudinitdisk
            disk:
              bus: virtio
          interfaces:
          - name: default
            masquerade: {}
        resources:
          requests:
            memory: 128Mi
      networks:
      - name: default
        pod: {}
      volumes:
      - name: containerdisk
        containerDisk:
          image: kobune/demo
      - name: cloudinitdisk
        cloudInitNoCloud:
          userData: |
            #cloud-config
            hostname: told-by-cloud-init
            user: kobune
            password: kobune
            chpasswd: {expire: false}
            ssh_authorized_keys:
            - %s
"""
TOOLS = """
apiVersion: v1
kind: Pod
metadata:
  name: tools
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: tools
    image: kobune/toolbox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo from-the-pod > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"]
"""


@pytest.fixture(scope="module")
def tools(instance: Instance) -> Iterator[Instance]:
    """The instance with a pod that has an ssh client and serves a page."""
    instance.kubectl("apply", "-f", "-", stdin=TOOLS)
    instance.kubectl("wait", "pod/tools", "--for=condition=Ready", "--timeout=120s")
    yield instance
    instance.kubectl("delete", "pod", "tools", "--grace-period=1")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True, timeout=30)
    return path


def test_a_plain_manifest_with_cloud_init(tools: Instance, key: Path) -> None:
    manifest = PLAIN % Path(f"{key}.pub").read_text().strip()
    tools.kubectl("apply", "-f", "-", stdin=manifest)
    tools.kobune("start", "plain")
    live_through(tools, "plain", "told-by-cloud-init", by_ssh=lambda: kobune_ssh(tools, "plain", key))


@pytest.mark.skipif(not SEED.exists(), reason="the shared examples are not beside this checkout")
def test_an_old_manifest_with_another_image(tools: Instance) -> None:
    manifest = yaml.safe_load(SEED.read_text())
    manifest["spec"]["template"]["spec"]["volumes"][0]["containerDisk"]["image"] = "kobune/demo"
    # A machine that says `running` is started by its verb too.
    tools.kubectl("apply", "--validate=false", "-f", "-", stdin=yaml.safe_dump(manifest))
    tools.kobune("start", "test-vm")
    live_through(tools, "test-vm", "test-vm", by_ssh=lambda: from_pod(tools, address(tools, "test-vm"), "hostname"))


def live_through(instance: Instance, name: str, hostname: str, *, by_ssh: Callable[[], str]) -> None:
    """Everything that happens to a machine in its life, from the moment that it was told to start."""
    instance.wait_phase(name, "Running")
    first = boot(instance, name, hostname)
    instance.eventually("ssh answers", lambda: by_ssh() == hostname, 90)

    # A Service leads to it, and it reaches the pod.
    instance.kobune("expose", "vm", name, "--name", f"{name}-ssh", "--port", "22")
    instance.eventually("its Service answers", lambda: from_pod(instance, f"{name}-ssh", "hostname") == hostname, 90)
    peer = instance.get("pod", "tools")["status"]["podIP"]
    assert from_pod(instance, f"{name}-ssh", f"wget -qO- http://{peer}:8080/") == "from-the-pod"

    # Paused, it answers nobody, and its clock stands still.
    before = uptime_s(instance, name)
    began_s = time.monotonic()
    instance.kobune("pause", "vm", name)
    instance.eventually("it is paused", lambda: printed(instance, name) == "Paused")
    guest = address(instance, name)
    assert not pings(instance, guest)
    time.sleep(5)
    instance.kobune("unpause", "vm", name)
    instance.eventually("it runs", lambda: printed(instance, name) == "Running")
    assert pings(instance, guest)
    assert boot(instance, name, hostname) == first
    assert uptime_s(instance, name) - before < time.monotonic() - began_s - 3

    # Stopped, started, restarted: each time another boot of the same machine.
    instance.kobune("stop", name)
    instance.eventually("it is stopped", lambda: printed(instance, name) == "Stopped")
    assert instance.kubectl("get", "vmi", name, "--ignore-not-found") == ""
    instance.kobune("start", name)
    instance.wait_phase(name, "Running")
    second = boot(instance, name, hostname)
    uid = instance.get("vmi", name)["metadata"]["uid"]
    instance.kobune("restart", name)
    instance.eventually("another instance", lambda: instance.get("vmi", name)["metadata"]["uid"] != uid)
    instance.wait_phase(name, "Running")
    assert len({first, second, boot(instance, name, hostname)}) == 3
    instance.eventually("its Service answers", lambda: from_pod(instance, f"{name}-ssh", "hostname") == hostname, 90)

    instance.kubectl("delete", "vm", name, "--timeout=120s")
    instance.kubectl("delete", "service", f"{name}-ssh")
    instance.eventually(
        "no pod is left", lambda: instance.get("pod", "-l", f"vm.kubevirt.io/name={name}")["items"] == []
    )
    assert instance.kubectl("get", "vmi", name, "--ignore-not-found") == ""


def boot(instance: Instance, name: str, hostname: str) -> str:
    """The boot id, read after a login on the console."""
    console = instance.console(name).login()
    try:
        assert console.run("hostname") == hostname
        return console.run("cat /proc/sys/kernel/random/boot_id")
    finally:
        console.close()


def uptime_s(instance: Instance, name: str) -> float:
    console = instance.console(name).login()
    try:
        return float(console.run("cut -d' ' -f1 /proc/uptime"))
    finally:
        console.close()


def address(instance: Instance, name: str) -> str:
    return str(instance.get("vmi", name)["status"]["interfaces"][0]["ipAddress"])


def printed(instance: Instance, name: str) -> str:
    return str(instance.get("vm", name)["status"]["printableStatus"])


def from_pod(instance: Instance, host: str, command: str) -> str:
    """A command in the guest by ssh from the pod; the environment is dropbear's way to give a password."""
    words = (
        "exec",
        "tools",
        "--",
        "env",
        "DROPBEAR_PASSWORD=kobune",
        "dbclient",
        "-y",
        "-y",
        f"kobune@{host}",
        command,
    )
    return instance.kubectl(*words).strip()


def pings(instance: Instance, address: str) -> bool:
    line = f"ping -c 1 -W 2 {address} >/dev/null 2>&1 && echo yes || true"
    return instance.kubectl("exec", "tools", "--", "sh", "-c", line).strip() == "yes"


def kobune_ssh(instance: Instance, name: str, key: Path) -> str:
    """The host name, asked by `kobune ssh` with the key that cloud-init was given."""
    line = [sys.executable, "-m", "kobune.main.entry", "ssh", f"kobune@vm/{name}", "-i", str(key)]
    for option in ("IdentitiesOnly=yes", "PasswordAuthentication=no", "StrictHostKeyChecking=no", "BatchMode=yes"):
        line += ["-t", f"-o {option}"]
    line += ["--known-hosts", "/dev/null", "-c", "hostname"]
    done = subprocess.run(line, env=instance.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
