"""The definitions of volume snapshots and network attachments, as embedded mode brings them."""

import json
from typing import Any

import pytest

from kobune.api.crd import companion_definitions
from support.kubectl import Kubectl

SNAPSHOTS = "snapshot.storage.k8s.io/v1"


@pytest.fixture(autouse=True)
def _definitions(kubectl: Kubectl) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": companion_definitions()}
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(items))
    names = [f"crd/{item['metadata']['name']}" for item in companion_definitions()]
    kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")


def snapshot(name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": SNAPSHOTS, "kind": "VolumeSnapshot", "metadata": {"name": name}, "spec": spec})


def content(name: str, **spec: Any) -> str:
    rest = {"deletionPolicy": "Retain", "driver": "d", "volumeSnapshotRef": {"name": "s", "namespace": "n"}}
    document = {
        "apiVersion": SNAPSHOTS,
        "kind": "VolumeSnapshotContent",
        "metadata": {"name": name},
        "spec": {**rest, **spec},
    }
    return json.dumps(document)


def test_a_network_attachment_is_explained_and_found_by_its_short_name(kubectl: Kubectl) -> None:
    assert "config\t<string>" in kubectl("explain", "network-attachment-definitions.spec")
    document = {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "red"},
        "spec": {"config": '{"cniVersion": "1.0.0", "type": "bridge", "bridge": "red"}'},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(document))
    assert kubectl.object("net-attach-def", "red")["spec"] == document["spec"]
    assert kubectl("get", "network-attachment-definition", "-o", "name").strip() == (
        "networkattachmentdefinition.k8s.cni.cncf.io/red"
    )


def test_a_snapshot_has_exactly_one_source_for_ever(kubectl: Kubectl) -> None:
    message = "exactly one of volumeSnapshotContentName and persistentVolumeClaimName must be set"
    assert message in kubectl.fails("create", "-f", "-", stdin=snapshot("none", source={}))
    both = {"persistentVolumeClaimName": "a", "volumeSnapshotContentName": "b"}
    assert message in kubectl.fails("create", "-f", "-", stdin=snapshot("both", source=both))
    unnamed = snapshot("unnamed", source={"persistentVolumeClaimName": "a"}, volumeSnapshotClassName="")
    assert "must not be the empty string when set" in kubectl.fails("create", "-f", "-", stdin=unnamed)
    kubectl("create", "-f", "-", stdin=snapshot("one", source={"persistentVolumeClaimName": "a"}))
    for change, message in (
        ({"persistentVolumeClaimName": "b"}, "persistentVolumeClaimName is immutable"),
        ({"persistentVolumeClaimName": None}, "persistentVolumeClaimName is required once set"),
    ):
        patch = json.dumps({"spec": {"source": change}})
        assert message in kubectl.fails("patch", "vs", "one", "--type=merge", "-p", patch)
    assert "SOURCEPVC" in kubectl("get", "volumesnapshots")
    assert "volumeSnapshotClassName\t<string>" in kubectl("explain", "volumesnapshot.spec")


def test_a_content_names_its_snapshot_and_one_handle(kubectl: Kubectl) -> None:
    name = f"content-{kubectl.namespace}"
    two = content(name, source={"snapshotHandle": "s", "volumeHandle": "v"})
    assert "exactly one of volumeHandle and snapshotHandle" in kubectl.fails("create", "-f", "-", stdin=two)
    loose = content(name, source={"snapshotHandle": "s"}, volumeSnapshotRef={"name": "s"})
    assert "volumeSnapshotRef.namespace must be set" in kubectl.fails("create", "-f", "-", stdin=loose)
    kubectl("create", "-f", "-", stdin=content(name, source={"volumeHandle": "v"}, sourceVolumeMode="Block"))
    for change, message in (
        ({"sourceVolumeMode": "Filesystem"}, "sourceVolumeMode is immutable"),
        ({"sourceVolumeMode": None}, "sourceVolumeMode is required once set"),
        ({"source": {"volumeHandle": "w"}}, "volumeHandle is immutable"),
        ({"deletionPolicy": "Keep"}, "Unsupported value"),
    ):
        patch = json.dumps({"spec": change})
        assert message in kubectl.fails("patch", "vsc", name, "--type=merge", "-p", patch)
    kubectl("delete", "vsc", name)
