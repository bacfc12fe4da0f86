"""A restore while guests run: those that the backup knows go on, later ones end, those deleted since run again."""

import subprocess
from pathlib import Path

import pytest
import yaml

from support.instance import Instance

VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: {name}
spec:
  runStrategy: Always
  template:
    spec:
      terminationGracePeriodSeconds: 5
      domain:
        devices:
          disks:
          - name: root
            disk: {{bus: virtio}}
          interfaces:
          - name: default
            masquerade: {{}}
        memory: {{guest: 96Mi}}
      networks:
      - name: default
        pod: {{}}
      volumes:
      - name: root
        containerDisk: {{image: kobune/demo}}
"""


CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: late}
spec: {accessModes: [ReadWriteOnce], volumeMode: Block, resources: {requests: {storage: 16Mi}}}
"""


def with_claim(manifest: str) -> str:
    """The machine with a block volume of the local class as its second disk."""
    machine = yaml.safe_load(manifest)
    spec = machine["spec"]["template"]["spec"]
    spec["domain"]["devices"]["disks"].append({"name": "data", "disk": {"bus": "virtio"}})
    spec["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": "late"}})
    return yaml.safe_dump(machine)


def loop_devices(instance: Instance) -> list[str]:
    """Files of this instance's volumes that are shown as block devices."""
    done = subprocess.run(["losetup", "-n", "-O", "BACK-FILE"], capture_output=True, text=True, timeout=30, check=True)
    return [line.strip() for line in done.stdout.splitlines() if str(instance.data_dir / "volumes") in line]


def all_machines(instance: Instance) -> set[str]:
    return {item["metadata"]["name"] for item in instance.get("vm")["items"]}


def boot_id(instance: Instance, name: str) -> str:
    console = instance.console(name).login()
    try:
        return console.run("cat /proc/sys/kernel/random/boot_id")
    finally:
        console.close()


def launchers(instance: Instance) -> dict[str, str]:
    """Uid of the launcher pod by the name of its guest."""
    pods = instance.get("pod", "-l", "kubevirt.io=virt-launcher")["items"]
    return {pod["metadata"]["annotations"]["kubevirt.io/domain"]: pod["metadata"]["uid"] for pod in pods}


def processes_of(uid: str) -> list[str]:
    """Command lines of a pod's processes on this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                cgroup = (entry / "cgroup").read_text()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if uid in cgroup.replace("_", "-"):
                found.append(line)
    return found


@pytest.fixture
def _nothing_left(instance: Instance) -> object:
    yield
    instance.kubectl("delete", "vm", "stays", "deleted", "late", "--timeout=180s", check=False)


@pytest.mark.usefixtures("_nothing_left")
def test_guests_and_a_restored_state(instance: Instance, tmp_path: Path) -> None:
    for name in ("stays", "deleted"):
        instance.kubectl("apply", "-f", "-", stdin=VM.format(name=name))
    for name in ("stays", "deleted"):
        instance.wait_phase(name, "Running", timeout_s=180)
    machines, devices = all_machines(instance), set(loop_devices(instance))
    before = boot_id(instance, "stays")
    file = tmp_path / "copy"
    instance.kobune("backup", str(file), f"--data-dir={instance.data_dir}")
    instance.kubectl("delete", "vm", "deleted", "--timeout=120s")
    instance.kubectl("apply", "-f", "-", stdin=CLAIM)
    instance.kubectl("apply", "-f", "-", stdin=with_claim(VM.format(name="late")))
    instance.wait_phase("late", "Running", timeout_s=180)
    late = launchers(instance)["late"]
    assert any("qemu-system" in line for line in processes_of(late))
    (volume,) = set(loop_devices(instance)) - devices

    said = instance.kobune("restore", str(file), f"--data-dir={instance.data_dir}")
    assert "it runs again" in said

    assert boot_id(instance, "stays") == before, "a guest that both states know never stopped"
    assert instance.get("vmi", "stays")["status"]["phase"] == "Running"
    assert all_machines(instance) == machines
    instance.eventually("nothing is left of the guest made since", lambda: not processes_of(late))
    instance.eventually("nor its volume's device", lambda: volume not in loop_devices(instance))
    assert Path(volume).exists(), "a restore deletes no data"
    Path(volume).unlink()
    instance.eventually(
        "the guest deleted since runs again",
        lambda: instance.get("vmi", "deleted")["status"]["phase"] == "Running" and bool(boot_id(instance, "deleted")),
        timeout_s=240,
    )
    # Managed as before: a request travels the whole way.
    instance.kobune("pause", "stays")
    instance.kubectl("wait", "vmi/stays", "--for=condition=Paused", "--timeout=60s")
    instance.kobune("unpause", "stays")
    assert boot_id(instance, "stays") == before
