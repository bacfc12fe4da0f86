"""The node's side of `kobune up` and `kobune down`: containerd, images, the node's components."""

import asyncio
import time
from collections.abc import Callable, Iterable

from kobune.base.errors import KobuneError
from kobune.embedded.kubelet.networks.definitions import install as install_networks
from kobune.embedded.storage.run import install as install_storage
from kobune.host.containerd import ContainerdConfig, ContainerdDaemon, import_image, list_images
from kobune.kube.client.core import NODES
from kobune.kube.client.errors import ApiError
from kobune.kube.client.protocol import Client
from kobune.main.images import NODE_IMAGES, TOOLBOX, BuiltImage, ensure_images, pause_image
from kobune.main.imported import read_imported, write_imported
from kobune.main.progress import Progress
from kobune.main.settings import Settings

__all__ = ["bring_up_node", "tear_down_node"]

NODE_READY_TIMEOUT_S = 60.0


async def bring_up_node(settings: Settings, client: Client, progress: Progress, start: Callable[[str], None]) -> None:
    """Start containerd (or adopt it), build and import what is missing, start the node's components, wait for Ready."""
    config = ContainerdConfig.for_data_dir(settings.data_dir, pause_image=pause_image())
    with progress.step("images"):
        images = await ensure_images(settings.images_dir, (*NODE_IMAGES, TOOLBOX, *settings.more_images), progress.say)
    with progress.step("containerd"):
        await ContainerdDaemon(config).ensure()
        await install_storage(client)
        await install_networks(client)
        await _import(settings, config, images.values(), progress)
    start("kubelet")
    start("virt-handler")
    with progress.step(f"node {settings.node} ready"):
        await _wait_ready(settings, client)


async def _import(
    settings: Settings, config: ContainerdConfig, images: Iterable[BuiltImage], progress: Progress
) -> None:
    """Import the archives that containerd does not have yet; a record tells which build of a name it has."""
    imported = read_imported(settings)
    present = await list_images(config.socket)
    for image in images:
        if image.reference in present and imported.get(image.reference) == image.key:
            continue
        began_s = time.monotonic()
        await import_image(config.socket, image.archive)
        imported[image.reference] = image.key
        write_imported(settings, imported)
        progress.say(f"imported {image.reference} ({time.monotonic() - began_s:.1f} s)")


async def _wait_ready(settings: Settings, client: Client) -> None:
    """Until the Node is Ready and takes virtual machines.

    Raises KobuneError that says what is missing after NODE_READY_TIMEOUT_S.
    """
    what = "no Node object"
    try:
        async with asyncio.timeout(NODE_READY_TIMEOUT_S):
            while True:
                try:
                    node = await client.get(NODES, settings.node)
                except ApiError as error:
                    what = str(error)
                else:
                    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
                    schedulable = node.metadata.labels.get("kubevirt.io/schedulable") == "true"
                    if ready and schedulable:
                        return
                    what = "virt-handler has not announced itself" if ready else "the Node is not Ready"
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise KobuneError(
            f"node {settings.node} is not ready after {NODE_READY_TIMEOUT_S:.0f} s: {what}; see {settings.logs_dir}"
        ) from None


async def tear_down_node(settings: Settings, grace_s: float) -> None:
    """End all pods of this instance and remove what they had on this machine; images and objects stay."""
    from kobune.embedded.kubelet.cleanup import cleanup
    from kobune.embedded.kubelet.instance import NodeInstance
    from kobune.embedded.network.cleanup import cleanup as cleanup_network
    from kobune.embedded.storage.data import VolumeData
    from kobune.host.loop import LoopDevices
    from kobune.host.run import HostRunner
    from kobune.virt.handler.run import cleanup as cleanup_handler

    await cleanup_handler(settings.handler_state_dir)
    failures = await cleanup(settings.data_dir, grace_s=grace_s)
    failures += await VolumeData(settings.volumes_dir, LoopDevices(HostRunner())).detach_all()
    failures += await cleanup_network(NodeInstance.of(settings.data_dir).service_table, settings.dns_dir)
    for failure in failures:
        print(f"         {failure}")
