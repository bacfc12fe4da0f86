"""The manifests of instancetypes and preferences from flags. Pure."""

from typing import Any

import click

from kobune.cli.create.fields import check_quantity, parse_fields

__all__ = ["instancetype_manifest", "preference_manifest"]

Document = dict[str, Any]

API_VERSION = "instancetype.kubevirt.io/v1beta1"


def instancetype_manifest(
    name: str,
    cpu: int,
    memory: str,
    *,
    namespaced: bool = False,
    gpus: tuple[str, ...] = (),
    host_devices: tuple[str, ...] = (),
    io_threads_policy: str = "",
    namespace: str = "",
) -> Document:
    """A (cluster) instancetype: `cpu` vCPUs and the quantity `memory`. Raises UsageError."""
    if cpu < 1:
        raise click.UsageError("--cpu must be greater than 0")
    spec: Document = {"cpu": {"guest": cpu}, "memory": {"guest": check_quantity("--memory", memory)}}
    if gpus:
        spec["gpus"] = [_device("--gpu", text) for text in gpus]
    if host_devices:
        spec["hostDevices"] = [_device("--hostdevice", text) for text in host_devices]
    if io_threads_policy:
        spec["ioThreadsPolicy"] = io_threads_policy
    return _typed("Instancetype", name, spec, namespaced, namespace)


def preference_manifest(
    name: str,
    *,
    namespaced: bool = False,
    storage_class: str = "",
    machine_type: str = "",
    cpu_topology: str = "",
    namespace: str = "",
) -> Document:
    """A (cluster) preference."""
    spec: Document = {}
    if cpu_topology:
        spec["cpu"] = {"preferredCPUTopology": cpu_topology}
    if machine_type:
        spec["machine"] = {"preferredMachineType": machine_type}
    if storage_class:
        spec["volumes"] = {"preferredStorageClassName": storage_class}
    return _typed("Preference", name, spec, namespaced, namespace)


def _typed(word: str, name: str, spec: Document, namespaced: bool, namespace: str) -> Document:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    kind = f"VirtualMachine{'' if namespaced else 'Cluster'}{word}"
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _device(option: str, text: str) -> Document:
    fields = parse_fields(option, text, ("name", "devicename"), ("name", "devicename"))
    return {"name": fields["name"], "deviceName": fields["devicename"]}
