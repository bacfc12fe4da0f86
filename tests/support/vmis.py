"""VirtualMachineInstances for tests of rendering and of the launcher."""

from typing import Any

import msgspec

from kobune.api.kubevirt.instance import VirtualMachineInstance

UID = "5f0c2b1e-7a43-4c0e-9d51-2d4c7e7f9a10"


def vmi_document(uid: str = UID, name: str = "vm", **domain: Any) -> dict[str, Any]:
    """A small VMI with a container disk and a cloud-init disk; `domain` replaces parts of `spec.domain`."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": name, "namespace": "default", "uid": uid},
        "spec": {
            "domain": {
                "devices": {
                    "disks": [
                        {"name": "root", "disk": {"bus": "virtio"}},
                        {"name": "seed", "disk": {"bus": "virtio"}},
                    ]
                },
                "memory": {"guest": "256Mi"},
                **domain,
            },
            "volumes": [
                {"name": "root", "containerDisk": {"image": "kobune/demo"}},
                {"name": "seed", "cloudInitNoCloud": {"userData": "#cloud-config\nhostname: sekai\n"}},
            ],
        },
    }


def vmi(document: dict[str, Any] | None = None, **domain: Any) -> VirtualMachineInstance:
    """The same, decoded."""
    return msgspec.convert(document or vmi_document(**domain), VirtualMachineInstance)
