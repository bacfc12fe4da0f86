"""What a node leaves on the machine is told apart from what others have there."""

import json
from pathlib import Path

from kobune.embedded.kubelet.cleanup import NodeRemains, forget_attachments
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.containerd import ContainerdConfig


def test_records_of_an_instance_s_attachments_go_and_those_of_others_stay(tmp_path: Path) -> None:
    data_dir = tmp_path / "mine"
    remains = NodeRemains(
        containerd=ContainerdConfig.for_data_dir(data_dir),
        kubelet_root=data_dir / "kubelet",
        pod_logs=data_dir / "logs",
        run_dir=data_dir / "run",
        network=NodeInstance.of(data_dir).network,
    )
    cache = tmp_path / "results"
    cache.mkdir()

    def loopback(sandbox: str, namespaces: Path) -> None:
        result = {"interfaces": [{"name": "lo", "sandbox": str(namespaces / "cni-1")}]}
        (cache / f"cni-loopback-{sandbox}-lo").write_text(json.dumps({"result": result}))

    (cache / f"{remains.network.name}-one-eth0").touch()
    (cache / "kobune-another-two-eth0").touch()
    loopback("one", remains.containerd.network_namespaces)
    loopback("two", ContainerdConfig.for_data_dir(tmp_path / "mine-too").network_namespaces)
    forget_attachments(remains, [cache, tmp_path / "none"])
    assert sorted(path.name for path in cache.iterdir()) == ["cni-loopback-two-lo", "kobune-another-two-eth0"]
