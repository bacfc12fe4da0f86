"""Manifests of guests with several networks."""

import hashlib
import json
import os
from typing import Any

import yaml

__all__ = ["BRIDGE_PREFIX", "definition", "guest", "manifests", "server_pod"]

BRIDGE_PREFIX = f"kt{hashlib.sha256(os.environ.get('KOBUNE_TEST_DATA_DIR', '').encode()).hexdigest()[:4]}-"
"""Bridges are the machine's: another run beside this one has others."""


def definition(name: str, **plugin: Any) -> dict[str, Any]:
    """A NetworkAttachmentDefinition of one plugin; by default a bridge without addresses."""
    config = {"cniVersion": "0.4.0", "name": name, "type": "bridge", "bridge": f"{BRIDGE_PREFIX}{name}", **plugin}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": json.dumps(config)},
    }


def guest(
    name: str,
    networks: dict[str, Any],
    interfaces: list[dict[str, Any]],
    *,
    cores: int = 1,
    memory: str = "128Mi",
    image: str = "kobune/demo",
    **spec: Any,
) -> dict[str, Any]:
    """A VirtualMachine that runs; `networks` are sources by name."""
    devices = {"disks": [{"name": "root", "disk": {"bus": "virtio"}}], "interfaces": interfaces}
    devices |= spec.pop("devices", {})
    template = {
        "terminationGracePeriodSeconds": 15,
        "domain": {"cpu": {"cores": cores}, "memory": {"guest": memory}, "devices": devices},
        "networks": [{"name": network, **source} for network, source in networks.items()],
        "volumes": [{"name": "root", "containerDisk": {"image": image}}],
        **spec,
    }
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {
            "runStrategy": "Always",
            "template": {"metadata": {"labels": {"guest": name}}, "spec": template},
        },
    }


def server_pod(name: str, word: str, *, host_port: int = 0, **spec: Any) -> dict[str, Any]:
    """A pod that serves `word` on port 8080, and on a port of the node if one is given."""
    command = f"echo {word} > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"
    container: dict[str, Any] = {
        "name": "server",
        "image": "kobune/toolbox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
    }
    if host_port:
        container["ports"] = [{"containerPort": 8080, "hostPort": host_port}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def manifests(*documents: dict[str, Any]) -> str:
    """As text for kubectl."""
    return yaml.safe_dump_all(documents)
