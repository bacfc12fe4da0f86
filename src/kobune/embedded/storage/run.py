"""Composes the provisioner of one node; and what must exist in the cluster for it."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kobune.base.errors import KobuneError, RetryableError
from kobune.embedded.storage.data import VolumeData
from kobune.embedded.storage.decide import PROVISIONER
from kobune.embedded.storage.wire import add_storage
from kobune.host.loop import LoopDevices, Loops
from kobune.host.run import HostRunner
from kobune.kube.client.config import load_config
from kobune.kube.client.core import PERSISTENT_VOLUMES, STORAGE_CLASSES
from kobune.kube.client.errors import AlreadyExists
from kobune.kube.client.http import HttpClient
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.runtime import ControllerProcess

__all__ = ["USER", "StorageConfig", "install", "run", "run_with_client"]

_LOG = logging.getLogger(__name__)
CLASS_NAME = "local"
RETRY_S = 1.0
USER = "system:kobune:local-storage"
_FIELD_MANAGER = "kobune-local-storage"
_ROLES: Resource[dict[str, Any]] = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, dict
)
_BINDINGS: Resource[dict[str, Any]] = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False, dict
)


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """One node's: volumes live below `directory`."""

    kubeconfig: Path
    node_name: str
    directory: Path


async def run(config: StorageConfig, *, ready: asyncio.Event | None = None) -> None:
    """Provision until cancelled."""
    client = HttpClient(load_config(config.kubeconfig), user_agent="kobune-storage")
    try:
        await run_with_client(config, client, ready=ready)
    finally:
        await client.close()


async def run_with_client(
    config: StorageConfig, client: Client, *, loops: Loops | None = None, ready: asyncio.Event | None = None
) -> None:
    """As `run`, with a client and loop devices that the caller made."""
    process = ControllerProcess(client, component="local-storage", instance=config.node_name)
    data = VolumeData(config.directory, loops or LoopDevices(HostRunner()))
    await _sweep(data, client)
    add_storage(process, config.node_name, config.directory, data)
    await process.run(ready=ready)


async def _sweep(data: VolumeData, client: Client) -> None:
    """Remove unfinished volumes; waits for the API, as controllers do. Must never be why a node does not start."""
    while True:
        try:
            volumes = await client.list(PERSISTENT_VOLUMES)
            await data.sweep(frozenset(volume.metadata.name for volume in volumes.items))
            return
        except RetryableError as error:
            _LOG.info("unfinished volumes are looked for again in %g s: %s", RETRY_S, error)
            await asyncio.sleep(RETRY_S)
        except (KobuneError, OSError) as error:
            _LOG.warning("unfinished volumes are not looked for: %s", error)
            return


async def install(client: Client) -> None:
    """The StorageClass `local`, the cluster's default, and the rights of `USER`. Idempotent.

    A class that exists stays as it is: which one is the default is its owner's choice.
    """
    read, write = ["get", "list", "watch"], ["create", "delete", "patch", "update"]
    rules = [
        {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": [*read, *write]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": read},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims/status"], "verbs": ["patch", "update"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": read},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    ]
    name = {"name": USER}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": USER}
    storage_class = {
        "metadata": {
            "name": CLASS_NAME,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }
    objects: list[tuple[Resource[Any], dict[str, Any]]] = [
        (_ROLES, {"metadata": name, "rules": rules}),
        (_BINDINGS, {"metadata": name, "roleRef": reference, "subjects": [subject]}),
    ]
    for resource, obj in objects:
        await client.apply(resource, obj, field_manager=_FIELD_MANAGER, force=True)
    try:
        await client.create(STORAGE_CLASSES, storage_class)
    except AlreadyExists:
        found = await client.get(STORAGE_CLASSES, CLASS_NAME)
        if found.provisioner != PROVISIONER:
            _LOG.warning("StorageClass %s is of %s: this node makes no volumes for it", CLASS_NAME, found.provisioner)
