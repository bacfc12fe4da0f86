"""The claim of a machine's own state: EFI variables and TPM that outlive its pods.

Owns: its name, size and owner, as KubeVirt has them. A machine's claim belongs to the machine and goes with it; an
instance without a machine owns its own.
"""

from typing import Any, Final

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import owner_reference
from kobune.kube.runtime.decision import Create

__all__ = ["STATE_LABEL", "create_state_claim", "state_claim_name"]

STATE_LABEL: Final = "persistent-state-for"
STATE_SIZE: Final = "10Mi"
MAX_NAME: Final = 253


def state_claim_name(name: str) -> str:
    """The claim of the machine `name`."""
    return f"{STATE_LABEL}-{name}"[:MAX_NAME]


def create_state_claim(vmi: VirtualMachineInstance, storage_class: str) -> Create:
    """The claim's creation; `storage_class` is empty for the cluster's default."""
    machine = next((each for each in vmi.metadata.owner_references if each.kind == "VirtualMachine"), None)
    if machine is None:
        owner = owner_reference(VIRTUAL_MACHINE_INSTANCES, vmi)
        uid = vmi.metadata.uid
    else:
        uid = machine.uid
        owner = {
            "apiVersion": machine.api_version,
            "kind": machine.kind,
            "name": machine.name,
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": STATE_SIZE}},
    }
    if storage_class:
        spec["storageClassName"] = storage_class
    claim = {
        "metadata": {
            "name": state_claim_name(vmi.metadata.name),
            # A label's value is shorter than a name may be.
            "labels": {STATE_LABEL: vmi.metadata.name[:63].rstrip("-.")},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
    return Create(PERSISTENT_VOLUME_CLAIMS, vmi.metadata.namespace, claim, uid)
