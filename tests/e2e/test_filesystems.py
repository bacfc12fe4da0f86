"""Volumes that a guest mounts by virtiofs: what the objects say, live, and what the guest writes into a claim."""

import json
from collections.abc import Iterator, Mapping

import pytest
import yaml

from support.guest_shell import look, machine
from support.instance import Instance

GATES = {"spec": {"configuration": {"developerConfiguration": {"featureGates": ["EnableVirtioFsStorageVolumes"]}}}}
SHARED = ("settings", "hidden", "account", "about", "files")


def gated(instance: Instance, patch: Mapping[str, object]) -> None:
    (found,) = instance.get("kubevirt", "-A")["items"]
    where = ("-n", found["metadata"]["namespace"], found["metadata"]["name"])
    instance.kubectl("patch", "kubevirt", *where, "--type=merge", "-p", json.dumps(patch))


@pytest.fixture
def guest(instance: Instance) -> Iterator[str]:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    objects = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"told": "first"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared"}, "stringData": {"hidden": "secret"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"}, "spec": claim},
    ]
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    manifest = machine(
        "sharing",
        volumes=[
            {"name": "settings", "configMap": {"name": "shared"}},
            {"name": "hidden", "secret": {"secretName": "shared"}},
            {"name": "account", "serviceAccount": {"serviceAccountName": "default"}},
            {"name": "about", "downwardAPI": {"fields": [labels]}},
            {"name": "files", "persistentVolumeClaim": {"claimName": "shared"}},
        ],
        devices={"filesystems": [{"name": name, "virtiofs": {}} for name in SHARED]},
    )
    refused = instance.kubectl("apply", "-f", "-", stdin=manifest, check=False)
    assert "created" not in refused
    gated(instance, GATES)
    everything = f"{yaml.safe_dump_all(objects)}---\n{manifest}"
    instance.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def accepted() -> bool:
        return "sharing" in instance.kubectl("apply", "-f", "-", stdin=manifest)

    # The gate takes effect when virt-api has seen it.
    instance.eventually("it is accepted with the gate", accepted, 30)
    instance.wait_phase("sharing", "Running")
    yield "sharing"
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=everything)
    gated(instance, {"spec": {"configuration": {"developerConfiguration": {"featureGates": []}}}})


def test_a_guest_mounts_what_objects_hold_and_sees_them_change(instance: Instance, guest: str) -> None:
    mounts = [f"sudo mkdir -p /mnt/{name} && sudo mount -t virtiofs {name} /mnt/{name}; echo $?" for name in SHARED]
    told = look(
        instance,
        guest,
        *mounts,
        "sudo cat /mnt/settings/told; echo",
        "sudo cat /mnt/hidden/hidden; echo",
        "sudo head -c 3 /mnt/account/token; echo",
        "sudo grep -c vm.kubevirt.io/name /mnt/about/labels",
        "echo written in the guest | sudo tee /mnt/files/note >/dev/null; sudo sync; sudo ls /mnt/files",
        "echo x | sudo tee /mnt/settings/other 2>&1 | head -n 1; sudo ls /mnt/settings",
    )
    assert told[:5] == ["0"] * 5
    assert told[5:10] == ["first", "secret", "eyJ", "1", "note"]
    assert told[10].splitlines()[-1] == "told", "what the guest may only read"

    patch = json.dumps({"data": {"told": "second"}})
    instance.kubectl("patch", "configmap", "shared", "--type=merge", "-p", patch)

    def changed() -> bool:
        return look(instance, guest, "sudo cat /mnt/settings/told; echo") == ["second"]

    instance.eventually("the guest sees the change", changed, 150)

    pod = instance.get("pod", "-l", "vm.kubevirt.io/name=sharing")["items"][0]
    assert {each["name"] for each in pod["spec"]["containers"]} == {"compute", *(f"virtiofs-{n}" for n in SHARED)}
    old = instance.get("vmi", guest)["metadata"]["uid"]
    instance.kobune("restart", guest)
    instance.eventually("a new instance", lambda: instance.get("vmi", guest)["metadata"]["uid"] != old)
    instance.wait_phase(guest, "Running")
    kept = "sudo mkdir -p /mnt/files && sudo mount -t virtiofs files /mnt/files && sudo cat /mnt/files/note"
    assert look(instance, guest, kept) == ["written in the guest"]
