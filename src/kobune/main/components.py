"""`kobune component NAME`: the composition root of each component, one process each.

The only place that knows which coroutine a component is and which of this instance's paths it gets. Imports are inside
the functions on purpose: a process loads only its own component's code.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import click

from kobune.base.errors import TerminalError
from kobune.host.files import write_file
from kobune.main.settings import Settings
from kobune.main.supervisor import REFUSED, SUPERVISOR_FD, refusal_file

__all__ = ["COMPONENTS", "component"]

log = logging.getLogger(__name__)

Runner = Callable[[Settings, asyncio.Event], Awaitable[None]]


async def _apiserver(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.embedded.apiserver.run import ApiServerConfig, run

    config = ApiServerConfig(
        data_dir=settings.data_dir,
        listen_host=settings.listen_host,
        listen_port=settings.listen_port,
        service_endpoints={"kobune/kobune-virt-api": f"127.0.0.1:{settings.virt_api_port}"},
        audit_log=settings.audit_log,
    )
    await run(config, stop=stop)


async def _controllers(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.embedded.builtin.run import run as run_builtin
    from kobune.embedded.scheduler.run import run as run_scheduler

    kubeconfig = settings.component_kubeconfig("controllers")
    await _until_stopped(stop, run_builtin(kubeconfig, authority=settings.data_dir / "pki"), run_scheduler(kubeconfig))


async def _kubelet(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.embedded.kubelet.instance import NodeInstance
    from kobune.embedded.kubelet.run import KubeletConfig, run
    from kobune.embedded.network.dns import DnsConfig
    from kobune.embedded.network.run import NetworkConfig
    from kobune.embedded.network.run import run as run_network
    from kobune.embedded.network.services import Guard
    from kobune.embedded.storage.run import StorageConfig
    from kobune.embedded.storage.run import run as run_storage
    from kobune.host.containerd import ContainerdConfig
    from kobune.main.imported import read_imported

    certificate, key = settings.kubelet_serving_files
    instance = NodeInstance.of(settings.data_dir, settings.pod_subnet)
    network = NetworkConfig(
        kubeconfig=settings.component_kubeconfig("network"),
        table=instance.service_table,
        dns=DnsConfig(settings.dns_dir, instance.network.bridge, instance.network.gateway_addresses),
        api_gateway=instance.network.gateway,
        guard=Guard(instance.network.bridge, (settings.kubelet_port,)),
    )
    # A supervisor of an earlier version has not made it.
    has_network = network.kubeconfig.exists()
    config = KubeletConfig(
        kubeconfig=settings.component_kubeconfig("kubelet"),
        root=settings.data_dir / "kubelet",
        node_name=settings.node,
        containerd_socket=ContainerdConfig.for_data_dir(settings.data_dir).socket,
        pod_logs=settings.logs_dir / "pods",
        run_dir=settings.run_dir,
        pod_subnet=settings.pod_subnet,
        listen_port=settings.kubelet_port,
        tls_cert=certificate,
        tls_key=key,
        client_ca=settings.data_dir / "pki/ca.crt",
        preloaded_images=frozenset(read_imported(settings)),
        instance=instance,
        cluster_dns=instance.network.gateways if has_network else (),
    )
    networks = settings.component_kubeconfig("networks")
    if networks.exists():
        config = replace(config, networks_kubeconfig=networks)
    storage = StorageConfig(
        kubeconfig=settings.component_kubeconfig("storage"),
        node_name=settings.node,
        directory=settings.volumes_dir,
    )
    parts = [run(config)]
    if has_network:
        parts.append(run_network(network))
    if storage.kubeconfig.exists():
        parts.append(run_storage(storage))
    await _until_stopped(stop, *parts)


async def _virt_api(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.virt.admission.run import VirtApiConfig, run

    config = VirtApiConfig(
        kubeconfig=settings.component_kubeconfig("virt-api"),
        listen_host="127.0.0.1",
        listen_port=settings.virt_api_port,
    )
    await _until_stopped(stop, run(config))


async def _virt_controller(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.virt.controllers.run import VirtControllerConfig, run

    config = VirtControllerConfig(
        kubeconfig=settings.component_kubeconfig("virt-controller"),
        launcher_image=settings.launcher_image,
    )
    await _until_stopped(stop, run(config))


async def _virt_handler(settings: Settings, stop: asyncio.Event) -> None:
    from kobune.virt.handler.run import HandlerConfig, run

    config = HandlerConfig(
        kubeconfig=settings.component_kubeconfig("virt-handler"),
        node_name=settings.node,
        kubelet_root=settings.data_dir / "kubelet",
        listen_host="127.0.0.1",
        listen_port=settings.virt_handler_port,
        state_dir=settings.handler_state_dir,
    )
    await _until_stopped(stop, run(config))


COMPONENTS: dict[str, Runner] = {
    "apiserver": _apiserver,
    "controllers": _controllers,
    "kubelet": _kubelet,
    "virt-api": _virt_api,
    "virt-controller": _virt_controller,
    "virt-handler": _virt_handler,
}


async def _until_stopped(stop: asyncio.Event, *coroutines: Awaitable[None]) -> None:
    """Run until `stop` or until one of them ends, which none should: that is an error."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    stopping = asyncio.ensure_future(stop.wait())
    try:
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in [*tasks, stopping]:
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in done:
        if task is not stopping:
            task.result()
            raise RuntimeError("a component's loop ended by itself")


async def _run(name: str, settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.ensure_future(_supervisor_gone(stop))
    try:
        await COMPONENTS[name](settings, stop)
    finally:
        watch.cancel()


async def _supervisor_gone(stop: asyncio.Event) -> None:
    """The supervisor holds a pipe open: its end means stop. Without one (started by hand), only signals do."""
    descriptor = os.environ.get(SUPERVISOR_FD)
    if descriptor is None:
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(int(descriptor), "rb")
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    await reader.read()
    log.warning("the supervisor is gone; stopping")
    stop.set()


@click.command(hidden=True, context_settings={"show_default": True})
@click.argument("name", type=click.Choice(sorted(COMPONENTS)))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--listen-host", default="127.0.0.1")
@click.option("--listen-port", type=int, default=6443)
@click.option("--node-name", default="")
@click.option("--pod-subnet", default="10.42.0.0/24")
@click.option("--virt-api-port", type=int, default=8443)
@click.option("--virt-handler-port", type=int, default=8186)
@click.option("--kubelet-port", type=int, default=10250)
@click.option("--launcher-image", default="")
@click.option("--control-plane-only", is_flag=True)
@click.option("--audit-log", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info")
def component(
    name: str,
    data_dir: Path,
    listen_host: str,
    listen_port: int,
    node_name: str,
    pod_subnet: str,
    virt_api_port: int,
    virt_handler_port: int,
    kubelet_port: int,
    launcher_image: str,
    control_plane_only: bool,
    audit_log: Path | None,
    log_level: str,
) -> None:
    """Run one component of an instance in this process (started by `kobune up`)."""
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = Settings(
        data_dir=data_dir,
        listen_host=listen_host,
        listen_port=listen_port,
        node_name=node_name,
        pod_subnet=pod_subnet,
        virt_api_port=virt_api_port,
        virt_handler_port=virt_handler_port,
        kubelet_port=kubelet_port,
        launcher_image=launcher_image,
        control_plane_only=control_plane_only,
        audit_log=audit_log,
    )
    # Sub-processes and files of a component are private unless it says otherwise.
    os.umask(0o077 if name in ("apiserver", "virt-api") else 0o022)
    refusal = refusal_file(settings.run_dir, name)
    refusal.unlink(missing_ok=True)
    try:
        with asyncio.Runner(loop_factory=_loop_factory(name)) as runner:
            runner.run(_run(name, settings))
    except TerminalError as error:
        log.error("%s", error)
        write_file(refusal, str(error).encode())
        raise SystemExit(REFUSED) from None


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop for the API server, which answers thousands of requests a second; the others save its memory."""
    if name != "apiserver":
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
