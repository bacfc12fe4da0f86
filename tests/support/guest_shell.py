"""Looking into a guest by its serial console, and the small manifests of the tests that do."""

from typing import Any

import yaml

from support.instance import Instance

__all__ = ["DRIVERS", "look", "machine"]

DRIVERS = "kobune/demo:generic"
"""The demo guest with drivers for devices that are not virtio."""


def look(instance: Instance, name: str, *commands: str, timeout_s: float = 60) -> list[str]:
    """The outputs of commands in the guest, from one login on its console."""
    console = instance.console(name).login()
    try:
        return [console.run(command, timeout_s=timeout_s) for command in commands]
    finally:
        console.close()


def machine(
    name: str,
    *,
    image: str = "kobune/demo",
    memory: str = "128Mi",
    disks: list[dict[str, Any]] | None = None,
    volumes: list[dict[str, Any]] | None = None,
    devices: dict[str, Any] | None = None,
    root: dict[str, Any] | None = None,
    domain: dict[str, Any] | None = None,
    **spec: Any,
) -> str:
    """The manifest of a VirtualMachine that runs and boots `image`; `devices` may replace its masqueraded interface."""
    template = {
        "terminationGracePeriodSeconds": 10,
        "domain": {
            "memory": {"guest": memory},
            "devices": {
                "disks": [{"name": "root", "disk": root or {"bus": "virtio"}}, *(disks or [])],
                "interfaces": [{"name": "default", "masquerade": {}}],
                **(devices or {}),
            },
            **(domain or {}),
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": image}}, *(volumes or [])],
        **spec,
    }
    return yaml.safe_dump(
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": name},
            "spec": {"runStrategy": "Always", "template": {"spec": template}},
        }
    )
