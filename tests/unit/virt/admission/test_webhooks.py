"""Webhooks from a question to a verdict, and the wire format around them."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import (
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineSpec,
)
from kobune.api.snapshot import VirtualMachineRestore
from kobune.virt.admission.review import AdmissionRequest, Problem, Reason, Verdict, decode_review, encode_verdict
from kobune.virt.admission.sizes import Sizes
from kobune.virt.admission.validation.networks import NO_BRIDGE_ON_POD_NETWORK
from kobune.virt.admission.webhooks import Webhooks
from support.vms import instance, instance_dict, machine_dict, spec

FEW: dict[str, Any] = {"cpu": {"cores": 3}, "devices": {}, "ioThreadsPolicy": "auto"}


class Cluster:
    binding = "bridge"
    going: Sequence[VirtualMachineRestore] = ()
    snapshot: dict[str, Any] | None = None
    pod: dict[str, Any] | None = None
    left = "Virtual Machines"

    def __init__(self, *gates: str, vmi: VirtualMachineInstance | None = None, active: int = 0) -> None:
        self._gates, self._vmi, self._active = frozenset(gates), vmi, active
        self.marked: list[str] = []

    def gates(self) -> frozenset[str]:
        return self._gates

    def default_binding(self) -> str:
        return self.binding

    def presets(self, namespace: str) -> Sequence[VirtualMachineInstancePreset]:
        raw = {"metadata": {"name": "few"}, "spec": {"selector": {"matchLabels": {"size": "few"}}, "domain": FEW}}
        return [msgspec.convert(raw, VirtualMachineInstancePreset)]

    async def instance(self, namespace: str, name: str) -> VirtualMachineInstance | None:
        return self._vmi

    async def sizes(self, namespace: str, spec: VirtualMachineSpec) -> Sizes:
        return Sizes()

    async def is_installed(self) -> bool:
        return True

    async def find(self, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.pod if plural == "pods" else self.snapshot if plural == "virtualmachinesnapshots" else None

    async def workloads(self) -> str:
        return self.left

    async def mark_for_evacuation(self, vmi: VirtualMachineInstance) -> None:
        self.marked.append(vmi.metadata.name)

    async def restores(self, namespace: str) -> Sequence[VirtualMachineRestore]:
        return self.going

    async def migrations(self, namespace: str, vmi_name: str) -> Sequence[VirtualMachineInstanceMigration]:
        raw = {"metadata": {"name": "m", "uid": "other"}, "spec": {"vmiName": vmi_name}}
        return [msgspec.convert(raw, VirtualMachineInstanceMigration)] * self._active


async def ask(
    path: str,
    obj: dict[str, Any],
    *,
    old: dict[str, Any] | None = None,
    version: str = "v1",
    username: str = "alice",
    cluster: Cluster | None = None,
) -> Verdict:
    request = AdmissionRequest(
        "uid", "UPDATE" if old is not None else "CREATE", version, "ns", "vm", username, obj, old, False
    )
    return await Webhooks(cluster or Cluster(), namespace="kobune").answer(path, request)


def fields(verdict: Verdict) -> list[tuple[str, str]]:
    return [(problem.field, problem.reason) for problem in verdict.problems]


async def test_a_good_machine_is_admitted_without_a_word() -> None:
    verdict = await ask("/virtualmachine-validator", machine_dict())
    assert verdict == Verdict()


async def test_presets_fill_in_what_an_instance_leaves_open() -> None:
    obj = {"metadata": {"name": "vm", "labels": {"size": "few"}}, "spec": spec()}
    patched = (await ask("/virtualmachineinstances-mutator", obj)).patched
    assert patched is not None
    assert patched["spec"]["domain"]["cpu"]["cores"] == 3
    assert patched["metadata"]["annotations"]["virtualmachinepreset.kubevirt.io/few"] == "kubevirt.io/v1"
    other = {"metadata": {"name": "vm"}, "spec": spec()}
    patched = (await ask("/virtualmachineinstances-mutator", other)).patched
    assert patched is not None
    assert patched["spec"]["domain"]["cpu"]["cores"] == 1


async def test_running_is_admitted_with_a_warning() -> None:
    obj = machine_dict(strategy=None)
    obj["spec"]["running"] = False
    verdict = await ask("/virtualmachine-validator", obj)
    assert verdict.allowed
    assert verdict.warnings == ("spec.running is deprecated, please use spec.runStrategy instead.",)


async def test_misspelt_metadata_is_pointed_out() -> None:
    applied = json.dumps({"metadata": {"name": "vm", "label": {"app": "demo"}}})
    obj = machine_dict(annotations={"kubectl.kubernetes.io/last-applied-configuration": applied})
    verdict = await ask("/virtualmachine-validator", obj)
    assert verdict.allowed
    assert "did you mean metadata.labels?" in verdict.warnings[0]


def _with_unused_template() -> dict[str, Any]:
    obj = machine_dict()
    obj["spec"]["dataVolumeTemplates"] = [
        {
            "metadata": {"name": "dv"},
            "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
        }
    ]
    return obj


async def test_an_unused_data_volume_template_is_refused_but_in_old_manifests() -> None:
    obj = _with_unused_template()
    refused = await ask("/virtualmachine-validator", obj)
    assert fields(refused) == [("spec.dataVolumeTemplate[0]", Reason.REQUIRED)]
    old_manifest = await ask("/virtualmachine-validator", obj, version="v1alpha3")
    assert old_manifest.allowed
    assert "no volume uses 'dv'" in old_manifest.warnings[0]
    # A machine that has it may be changed in v1 afterwards.
    changed = _with_unused_template()
    changed["spec"]["runStrategy"] = "Halted"
    assert (await ask("/virtualmachine-validator", changed, old=obj)).allowed


async def test_what_is_stored_stays_manageable_under_newer_rules() -> None:
    bad = machine_dict()
    bad["spec"]["template"]["spec"]["domain"]["devices"]["disks"][0]["disk"]["bus"] = "ide"
    labelled = json.loads(json.dumps(bad))
    labelled["metadata"]["labels"] = {"a": "b"}
    assert (await ask("/virtualmachine-validator", labelled, old=bad)).allowed
    changed = json.loads(json.dumps(bad))
    changed["spec"]["runStrategy"] = "Halted"
    assert not (await ask("/virtualmachine-validator", changed, old=bad)).allowed


async def test_what_kobune_cannot_do_is_refused_by_its_path_once_the_rest_is_right() -> None:
    obj = machine_dict()
    domain = obj["spec"]["template"]["spec"]["domain"]
    domain["launchSecurity"] = {"tdx": {}}
    domain["firmware"] = {"bootloader": {"efi": {"secureBoot": False}}}
    refused = await ask("/virtualmachine-validator", obj)
    assert fields(refused) == [
        ("spec.template.spec.domain.launchSecurity", Reason.NOT_SUPPORTED),
    ]
    domain["devices"]["disks"][0]["disk"]["bus"] = "ide"
    assert fields(await ask("/virtualmachine-validator", obj)) == [
        ("spec.template.spec.domain.devices.disks[0].disk.bus", Reason.INVALID),
    ]


@pytest.mark.parametrize(
    ("changes", "username", "allowed"),
    [
        ({"labels": {"mine": "2"}}, "alice", True),
        ({"labels": {"kubevirt.io/nodeName": "n"}}, "alice", False),
        ({"labels": {"kubevirt.io/nodeName": "n"}}, "system:serviceaccount:kobune:kobune-virt-controller", True),
        ({"labels": {"kubevirt.io/nodeName": "n"}}, "system:serviceaccount:other:kobune-virt-controller", False),
        ({"spec_changes": {"nodeSelector": {"a": "b"}}}, "alice", False),
        ({"status": {"nodeName": "n"}}, "alice", True),
    ],
)
async def test_people_may_not_change_what_runs(changes: dict[str, Any], username: str, allowed: bool) -> None:
    verdict = await ask(
        "/virtualmachineinstances-update-validator",
        instance_dict(**changes),
        old=instance_dict(),
        username=username,
    )
    assert verdict.allowed is allowed


async def test_migrations_need_an_instance_that_is_not_migrating() -> None:
    obj = {"metadata": {"name": "m", "uid": "mine"}, "spec": {"vmiName": "vm"}}
    path = "/migration-create-validator"
    assert 'VMI "ns/vm" does not exist' in (await ask(path, obj)).message
    assert (await ask(path, obj, cluster=Cluster(vmi=instance(phase="Running")))).allowed
    ended = await ask(path, obj, cluster=Cluster(vmi=instance(phase="Failed")))
    assert "finalized" in ended.message
    busy = await ask(path, obj, cluster=Cluster(vmi=instance(phase="Running"), active=1))
    assert "in-flight migration detected" in busy.message
    reasons = [{"type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable", "message": "local"}]
    stuck = await ask(path, obj, cluster=Cluster(vmi=instance(phase="Running", status={"conditions": reasons})))
    assert stuck.message == "Cannot migrate VMI, Reason: DisksNotLiveMigratable, Message: local"


async def test_restores_come_one_by_one_and_stay_as_they_are() -> None:
    path = "/virtualmachinerestore-validator"
    target = {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": "vm"}
    spec: dict[str, Any] = {"target": target, "virtualMachineSnapshotName": "s", "patches": ["{}"]}
    obj = {"metadata": {"name": "r"}, "spec": spec}
    # A snapshot that is not there says nothing about what may be patched.
    assert (await ask(path, obj)).allowed
    known = Cluster()
    known.snapshot = {"metadata": {"name": "s"}}
    assert fields(await ask(path, obj, cluster=known)) == [("spec.patches", Reason.INVALID)]
    busy = Cluster()
    busy.going = [msgspec.convert({"metadata": {"name": "other"}, "spec": spec}, VirtualMachineRestore)]
    assert fields(await ask(path, obj, cluster=busy)) == [("spec.target", Reason.INVALID)]
    assert (await ask(path, obj, old=obj, cluster=busy)).allowed
    changed = {**obj, "spec": {**spec, "virtualMachineSnapshotName": "t"}}
    assert fields(await ask(path, changed, old=obj)) == [("spec", Reason.INVALID)]


async def test_what_cannot_be_decoded_is_a_bad_request() -> None:
    obj = {"metadata": {"name": "a"}, "spec": spec(domain={"devices": {}, "memory": {"guest": "64MiB"}})}
    verdict = await ask("/virtualmachineinstances-mutator", obj)
    assert (verdict.code, verdict.allowed) == (400, False)
    assert "spec.domain.memory.guest" in verdict.message


async def test_gates_open_what_they_guard() -> None:
    obj = machine_dict()
    obj["spec"]["template"]["spec"]["volumes"] = [{"name": "root", "hostDisk": {"path": "/d/x.img", "type": "Disk"}}]
    assert fields(await ask("/virtualmachine-validator", obj)) == [("spec.template.spec.volumes[0]", Reason.INVALID)]
    opened = await ask("/virtualmachine-validator", obj, cluster=Cluster("HostDisk"))
    assert opened.allowed


def test_a_review_is_read_and_answered_in_its_own_format() -> None:
    body = {
        "request": {
            "uid": "u",
            "operation": "CREATE",
            "kind": {"group": "kubevirt.io", "version": "v1", "kind": "VirtualMachine"},
            "namespace": "ns",
            "userInfo": {"username": "alice"},
            "object": {"spec": {"a": 1}},
            "oldObject": None,
            "dryRun": True,
        }
    }
    request = decode_review(json.dumps(body).encode())
    assert (request.uid, request.version, request.username, request.dry_run) == ("u", "v1", "alice", True)
    answer = json.loads(encode_verdict(request, Verdict(patched={"spec": {"a": 1}, "metadata": {"b": 2}})))
    assert json.loads(base64.b64decode(answer["response"]["patch"])) == [
        {"op": "add", "path": "/metadata", "value": {"b": 2}}
    ]
    refused = json.loads(encode_verdict(request, Verdict((Problem("f", Reason.INVALID, "m"),), ("w",))))["response"]
    assert refused["status"]["details"] == {"causes": [{"message": "m", "reason": "FieldValueInvalid", "field": "f"}]}
    assert (refused["status"]["code"], refused["allowed"]) == (422, False)
    assert "warnings" not in refused


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"request": {}}', b'{"request": null}', b"\xff"])
def test_anything_else_is_no_review(body: bytes) -> None:
    with pytest.raises(ValueError, match="not an AdmissionReview"):
        decode_review(body)


async def test_a_bridge_on_the_pod_network_can_be_forbidden() -> None:
    bridged = spec()
    bridged["domain"]["devices"]["interfaces"] = [{"name": "default", "bridge": {}}]
    path = "/virtualmachineinstances-create-validator"
    obj = instance_dict(spec_changes=bridged)
    assert (await ask(path, obj)).allowed
    refused = await ask(path, obj, cluster=Cluster(NO_BRIDGE_ON_POD_NETWORK))
    assert fields(refused) == [("spec.domain.devices.interfaces[0].name", "FieldValueInvalid")]
    assert (await ask(path, instance_dict(), cluster=Cluster(NO_BRIDGE_ON_POD_NETWORK))).allowed


async def test_a_guest_without_networks_gets_the_installations_binding() -> None:
    bare = spec(networks=[])
    bare["domain"]["devices"].pop("interfaces")
    for binding in ("bridge", "masquerade"):
        cluster = Cluster()
        cluster.binding = binding
        verdict = await ask("/virtualmachineinstances-mutator", instance_dict(spec_changes=bare), cluster=cluster)
        assert verdict.patched is not None
        assert verdict.patched["spec"]["domain"]["devices"]["interfaces"] == [{"name": "default", binding: {}}]


@pytest.mark.parametrize(
    ("pod", "bad"),
    [
        ({"vmNetworkCIDR": "172.30.0.0/16", "vmIPv6NetworkCIDR": "fd77::/112"}, []),
        ({"vmNetworkCIDR": "nonsense"}, ["vmNetworkCIDR"]),
        ({"vmNetworkCIDR": "10.0.2.0/31"}, ["vmNetworkCIDR"]),
        ({"vmNetworkCIDR": "fd77::/112"}, ["vmNetworkCIDR"]),
        ({"vmIPv6NetworkCIDR": "fd77::/127"}, ["vmIPv6NetworkCIDR"]),
    ],
)
async def test_networks_behind_masquerade_must_have_room_for_a_guest(pod: dict[str, Any], bad: list[str]) -> None:
    obj = instance_dict(spec_changes={"networks": [{"name": "default", "pod": pod}]})
    verdict = await ask("/virtualmachineinstances-create-validator", obj)
    assert [field for field, _ in fields(verdict)] == [f"spec.networks[0].pod.{name}" for name in bad]


async def test_an_instance_s_status_is_written_by_components_alone() -> None:
    old, new = instance_dict(phase="Running"), instance_dict(phase="Failed")
    kept = await ask("/virtualmachineinstances-mutator", new, old=old)
    assert kept.patched == {"status": old["status"]}
    assert await ask("/virtualmachineinstances-mutator", old, old=old) == Verdict()
    for account in ("kobune:kobune-virt-api", "kubevirt:kubevirt-controller"):
        username = f"system:serviceaccount:{account}"
        assert await ask("/virtualmachineinstances-mutator", new, old=old, username=username) == Verdict()


@pytest.mark.parametrize(
    ("strategy", "phase", "left", "allowed"),
    [
        ("", "Deployed", "Virtual Machines", True),
        ("RemoveWorkloads", "Deployed", "Virtual Machines", True),
        ("BlockUninstallIfWorkloadsExist", "Deployed", "Virtual Machines", False),
        ("BlockUninstallIfWorkloadsExist", "Deploying", "Virtual Machines", True),
        ("BlockUninstallIfWorkloadsExist", "Deployed", "", True),
    ],
)
async def test_an_installation_with_machines_goes_only_where_it_may(
    strategy: str, phase: str, left: str, allowed: bool
) -> None:
    cluster = Cluster()
    cluster.left = left
    old = {"metadata": {"name": "kubevirt"}, "spec": {"uninstallStrategy": strategy}, "status": {"phase": phase}}
    verdict = await ask("/kubevirt-validator", {}, old=old, cluster=cluster)
    assert verdict.allowed is allowed
    assert ("still Virtual Machines present" in verdict.message) is not allowed


LAUNCHER = {
    "metadata": {"labels": {"kubevirt.io": "virt-launcher"}, "annotations": {"kubevirt.io/domain": "vm"}},
    "spec": {"nodeName": "node"},
}


@pytest.mark.parametrize(
    ("strategy", "migratable", "words", "marked"),
    [
        ("None", "False", "", False),
        ("LiveMigrate", "False", "not live-migratable", False),
        ("LiveMigrate", "True", 'evacuation of VMI "ns/vm"', True),
        ("LiveMigrateIfPossible", "False", "", False),
        ("External", "False", 'evacuation of VMI "ns/vm"', True),
    ],
)
async def test_guests_that_want_to_be_moved_are_not_evicted(
    strategy: str, migratable: str, words: str, marked: bool
) -> None:
    status = {"nodeName": "node", "conditions": [{"type": "LiveMigratable", "status": migratable}]}
    raw = instance_dict(spec_changes={"evictionStrategy": strategy}, status=status, namespace="ns")
    cluster = Cluster(vmi=msgspec.convert(raw, VirtualMachineInstance))
    cluster.pod = LAUNCHER
    verdict = await ask("/virt-launcher-eviction-interceptor", {}, cluster=cluster)
    assert verdict.allowed is not bool(words)
    assert words in verdict.message
    assert verdict.code == (429 if words else 400)
    assert cluster.marked == (["vm"] if marked else [])


async def test_evictions_of_other_pods_and_of_orphaned_launchers() -> None:
    cluster = Cluster()
    assert (await ask("/virt-launcher-eviction-interceptor", {}, cluster=cluster)).allowed
    cluster.pod = {"metadata": {}, "spec": {}}
    assert (await ask("/virt-launcher-eviction-interceptor", {}, cluster=cluster)).allowed
    cluster.pod = LAUNCHER
    assert (await ask("/virt-launcher-eviction-interceptor", {}, cluster=cluster)).code == 429
