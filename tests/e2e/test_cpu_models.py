"""What a node says of its CPU, and what a guest gets that asks for a model and a feature."""

import json

from support.instance import Instance


def vmi(name: str, cpu: dict[str, object]) -> str:
    disk = {"name": "root", "disk": {"bus": "virtio"}}
    domain = {"cpu": cpu, "memory": {"guest": "128Mi"}, "devices": {"disks": [disk], "rng": {}}}
    return json.dumps(
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "domain": domain,
                "volumes": [{"name": "root", "containerDisk": {"image": "kobune/demo"}}],
            },
        }
    )


def node_labels(instance: Instance) -> dict[str, str]:
    labels: dict[str, str] = instance.get("node", instance.kubectl("get", "node", "-o", "name").split("/")[1].strip())[
        "metadata"
    ]["labels"]
    return labels


def test_a_guest_has_the_model_and_the_feature_that_it_asked_for(instance: Instance) -> None:
    instance.eventually(
        "the node's labels", lambda: "cpu-model.node.kubevirt.io/Nehalem" in node_labels(instance), timeout_s=120
    )
    labels = node_labels(instance)
    assert labels["cpu-feature.node.kubevirt.io/aes"] == "true"
    assert any(name.startswith("host-model-cpu.node.kubevirt.io/") for name in labels)
    assert "machine-type.node.kubevirt.io/pc-q35-7.2" in labels
    asked: dict[str, object] = {"cores": 2, "model": "Nehalem", "features": [{"name": "aes"}]}
    instance.kubectl("apply", "-f", "-", stdin=vmi("modelled", asked))
    instance.kubectl("apply", "-f", "-", stdin=vmi("impossible", {"features": [{"name": "amx-tile"}]}))
    try:
        instance.wait_phase("modelled", "Running")
        console = instance.console("modelled").login()
        try:
            info = console.run("grep -m1 'model name' /proc/cpuinfo; grep -m1 ^flags /proc/cpuinfo")
            count = console.run("grep -c ^processor /proc/cpuinfo")
        finally:
            console.close()
        assert "Nehalem" in info
        assert " aes " in info
        assert count.strip() == "2"
        pod = json.loads(instance.kubectl("get", "pod", "-l", "vm.kubevirt.io/name=modelled", "-o", "json"))["items"][0]
        assert pod["spec"]["nodeSelector"]["cpu-model.node.kubevirt.io/Nehalem"] == "true"

        def unschedulable() -> bool:
            conditions = instance.get("vmi", "impossible")["status"].get("conditions", [])
            return any(item["type"] == "PodScheduled" and item["reason"] == "Unschedulable" for item in conditions)

        instance.eventually("a guest that no node can give its feature waits", unschedulable)
    finally:
        instance.kubectl("delete", "vmi", "modelled", "impossible", "--timeout=120s")


def test_the_pod_that_asked_about_the_cpu_is_gone(instance: Instance) -> None:
    instance.eventually(
        "no pod is left", lambda: not instance.kubectl("-n", "kobune", "get", "pods", "-o", "name").strip()
    )
