"""Containers that share volumes with a guest."""

from typing import Any

import pytest

from kobune.virt.controllers.virtualmachineinstance.decide import Observed, decide
from kobune.virt.controllers.virtualmachineinstance.launcher_pod import PodSettings, launcher_pod
from support.vms import NOW, instance, launcher, spec

SETTINGS = PodSettings("launcher:1")
VOLUMES = [
    {"name": "root", "containerDisk": {"image": "i"}},
    {"name": "settings", "configMap": {"name": "c"}},
    {"name": "files", "persistentVolumeClaim": {"claimName": "p"}},
]


def shared(*names: str) -> dict[str, Any]:
    domain = spec()["domain"]
    devices = {**domain["devices"], "filesystems": [{"name": name, "virtiofs": {}} for name in names]}
    return {"domain": {**domain, "devices": devices}, "volumes": VOLUMES}


def test_each_shared_volume_has_a_container_that_sees_nothing_else() -> None:
    pod = launcher_pod(instance(spec_changes=shared("settings", "files")), SETTINGS)["spec"]
    compute, settings, files = pod["containers"]
    assert [each["name"] for each in pod["containers"]] == ["compute", "virtiofs-settings", "virtiofs-files"]
    assert not {"settings", "files"} & {mount["name"] for mount in compute["volumeMounts"]}
    sockets = {"name": "virtiofs-containers", "mountPath": "/var/run/kubevirt/virtiofs-containers"}
    assert sockets in compute["volumeMounts"]
    where = "/var/run/kubevirt-private/config-map/settings"
    assert settings["volumeMounts"] == [{"name": "settings", "mountPath": where, "readOnly": True}, sockets]
    assert files["volumeMounts"][0] == {"name": "files", "mountPath": "/var/run/kubevirt-private/vmi-disks/files"}
    assert f"--shared-dir={where}" in settings["command"]
    assert settings["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert settings["securityContext"]["runAsUser"] == 107


def test_with_cpus_of_its_own_the_pod_stays_guaranteed() -> None:
    changes = shared("settings")
    changes["domain"]["cpu"] = {"cores": 1, "dedicatedCpuPlacement": True}
    container = launcher_pod(instance(spec_changes=changes), SETTINGS)["spec"]["containers"][1]
    assert container["resources"]["requests"] == container["resources"]["limits"]


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (1, "Failed")])
def test_the_launcher_s_end_is_the_instance_s_whatever_other_containers_do(code: int, phase: str) -> None:
    pod = launcher(phase="Running", node="n", state={"terminated": {"exitCode": code}})
    decision = decide(Observed(instance(phase="Running"), (pod,), NOW, SETTINGS))
    assert decision.status is not None
    assert decision.status.status["phase"] == phase
    after = decide(Observed(instance(phase=phase), (pod,), NOW, SETTINGS))
    assert [type(action).__name__ for action in after.actions] == ["Delete"]
