"""`kobune up`: brings an instance up step by step and keeps it running until SIGTERM or SIGINT.

Order: API, controllers, virtualization objects, then (unless --control-plane-only) containerd, images and the node's
components. Everything is idempotent: a second `up` finds what the first one made.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import click

from kobune.base.errors import KobuneError, TerminalError
from kobune.embedded.kubelet.instance import NodeInstance
from kobune.host.run import HostRunner
from kobune.kube.client.config import load_config
from kobune.kube.client.errors import ApiError, Unavailable
from kobune.kube.client.http import HttpClient
from kobune.main.credentials import (
    keep_tokens_fresh,
    write_certificate_kubeconfigs,
    write_kubelet_serving_certificate,
    write_token_kubeconfigs,
)
from kobune.main.images import launcher_image
from kobune.main.instance import InstanceRunning, hold_instance, running_pid
from kobune.main.interrupted import check_restored
from kobune.main.node import bring_up_node
from kobune.main.preflight import check_node, check_port, check_subnet, choose_ports
from kobune.main.progress import Progress
from kobune.main.settings import Settings, default_data_dir, parse_listen
from kobune.main.supervisor import ComponentSpec, Supervisor, kill_left_components
from kobune.operator.install import InstallOptions, install

__all__ = ["up"]

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 60.0
INSTALL_EVERY_S = 6 * 3600.0
INSTALLATION = InstallOptions(companions=True)


@click.command(epilog="Examples: kobune up; kobune up --detach; kobune up --control-plane-only --listen 127.0.0.1:7443")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is kept; see `kobune status`.",
)
@click.option("--listen", default="127.0.0.1:6443", show_default=True, help="ADDRESS:PORT of the Kubernetes API.")
@click.option("--control-plane-only", is_flag=True, help="The API and its controllers; no node, no root needed.")
@click.option("--node-name", default="", help="Name of this machine's Node; default: its host name.")
@click.option("--pod-subnet", default="10.42.0.0/24", show_default=True, help="Addresses of the pods.")
@click.option(
    "--image-cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where built images are kept; may be shared.",
)
@click.option("-d", "--detach", is_flag=True, help="Return when ready; the instance goes on in the background.")
@click.option("--timeout", "timeout_s", default=600.0, show_default=True, help="Seconds to wait for --detach.")
def up(
    data_dir: Path | None,
    listen: str,
    control_plane_only: bool,
    node_name: str,
    pod_subnet: str,
    image_cache: Path | None,
    detach: bool,
    timeout_s: float,
) -> None:
    """Run Kubernetes and the virtualization components on this machine."""
    host, port = parse_listen(listen)
    settings = Settings(
        data_dir=(data_dir or default_data_dir()).absolute(),
        listen_host=host,
        listen_port=port,
        node_name=node_name,
        pod_subnet=pod_subnet,
        control_plane_only=control_plane_only,
        image_cache=image_cache.absolute() if image_cache else None,
        # Fixed now: a component that is started again must ask for the image that this node was given.
        launcher_image=launcher_image(),
    )
    if detach:
        _detach(settings, timeout_s)
        return
    _check(settings)
    settings.prepare()
    settings = choose_ports(settings)
    logging.basicConfig(level="WARNING", stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with hold_instance(settings.run_dir):
        kill_left_components(settings.run_dir)
        asyncio.run(_up(settings, Progress()))


def _check(settings: Settings) -> None:
    """Raise before anything is changed."""
    pid = running_pid(settings.run_dir)
    if pid is not None:
        raise InstanceRunning(settings.data_dir, pid)
    check_restored(settings.data_dir)
    if not settings.control_plane_only:
        check_node()
        check_subnet(settings.pod_subnet, NodeInstance.of(settings.data_dir, settings.pod_subnet).network.bridge)
    check_port(settings.listen_host, settings.listen_port)


def _detach(settings: Settings, timeout_s: float) -> None:
    """Run the same command in a session of its own, show its progress, return at its ready line."""
    _check(settings)
    settings.prepare()
    log_path = settings.logs_dir / "up.log"
    command = [
        sys.executable,
        "-u",
        "-m",
        "kobune.main.entry",
        *[a for a in sys.argv[1:] if a not in ("-d", "--detach")],
    ]
    with open(log_path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    shown = 0
    deadline_s = time.monotonic() + timeout_s
    while True:
        text = log_path.read_text(errors="replace")
        end = text.rfind("\n") + 1
        click.echo(text[shown:end], nl=False)
        ready = any(line.startswith("Ready") for line in text[shown:end].splitlines())
        shown = end
        if ready:
            return
        if child.poll() is not None:
            click.echo(text[shown:], nl=False)
            raise SystemExit(child.returncode or 1)
        if time.monotonic() > deadline_s:
            child.terminate()
            raise click.ClickException(f"not ready after {timeout_s:.0f} s; see {settings.logs_dir}")
        time.sleep(0.05)


async def _up(settings: Settings, progress: Progress) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    supervisor = Supervisor(settings.logs_dir, settings.run_dir, HostRunner())
    bring_up = asyncio.ensure_future(_bring_up(settings, supervisor, progress))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        ends: list[asyncio.Future[Any]] = [bring_up, stopping, supervisor.refused]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if supervisor.refused.done() and not bring_up.done():
            raise TerminalError(supervisor.refused.result())
        if not stopping.done():
            # Ends with the error of a failed step; otherwise the tokens are kept fresh until the signal comes.
            client = bring_up.result()
            upkeep = [
                asyncio.ensure_future(keep_tokens_fresh(settings, client)),
                asyncio.ensure_future(_keep_installed(client)),
            ]
            await stopping
            for task in upkeep:
                task.cancel()
            await asyncio.gather(*upkeep, return_exceptions=True)
            await client.close()
    finally:
        bring_up.cancel()
        stopping.cancel()
        await asyncio.gather(bring_up, return_exceptions=True)
        await supervisor.stop()


async def _keep_installed(client: HttpClient) -> None:
    """Install again now and then: it writes only what is missing, and renews certificates that are about to expire."""
    wait_s = INSTALL_EVERY_S
    while True:
        await asyncio.sleep(wait_s)
        try:
            await install(client, INSTALLATION)
            wait_s = INSTALL_EVERY_S
        except* KobuneError as failures:
            log.warning("cannot look after the virtualization objects: %s; trying again in 60 s", failures.exceptions)
            wait_s = 60.0


async def _bring_up(settings: Settings, supervisor: Supervisor, progress: Progress) -> HttpClient:
    """All steps up to the ready line; returns the administrator's client."""

    def start(name: str) -> None:
        supervisor.start(ComponentSpec(name, settings.component_arguments()))

    with progress.step("Kubernetes API"):
        start("apiserver")
        client = await _connect(settings)
    try:
        await _bring_up_rest(settings, client, progress, start)
    except BaseException:
        await client.close()
        raise
    return client


async def _bring_up_rest(
    settings: Settings, client: HttpClient, progress: Progress, start: Callable[[str], None]
) -> None:
    """Everything that needs the API."""
    ca = (settings.data_dir / "pki/ca.crt").read_bytes()
    write_certificate_kubeconfigs(settings, ca)
    write_kubelet_serving_certificate(settings)
    start("controllers")
    with progress.step("virtualization API"):
        await install(client, INSTALLATION)
        await write_token_kubeconfigs(settings, ca, client)
    start("virt-api")
    start("virt-controller")
    if not settings.control_plane_only:
        await bring_up_node(settings, client, progress, start)
    with progress.step("virt-api answers"):
        await _wait(lambda: client.raw("GET", "/apis/subresources.kubevirt.io/v1/version"), "virt-api", settings)
    progress.say(f"kubectl: export KUBECONFIG={settings.kubeconfig}")
    print(f"Ready in {progress.elapsed_s:.1f} s: https://{settings.listen_host}:{settings.listen_port}", flush=True)


async def _connect(settings: Settings) -> HttpClient:
    """The administrator's client, once the API says that it is ready."""
    ready = settings.data_dir / "pki/ca.crt"
    await _wait(lambda: _exists(settings.kubeconfig, ready), "the API server's kubeconfig", settings)
    client = HttpClient(load_config(settings.kubeconfig))
    try:
        await _wait(lambda: client.raw("GET", "/readyz", timeout_s=5.0), "the API server", settings)
    except BaseException:
        await client.close()
        raise
    return client


async def _exists(*paths: Path) -> None:
    for path in paths:
        if not path.exists():
            raise Unavailable(0, "NotYet", f"{path} is not there yet")


async def _wait(attempt: Callable[[], Awaitable[object]], what: str, settings: Settings) -> None:
    """Try until it works.

    Raises KobuneError with the last failure after READY_TIMEOUT_S.
    """
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            await attempt()
        except ApiError as error:
            if time.monotonic() > deadline_s:
                raise KobuneError(
                    f"{what} is not ready after {READY_TIMEOUT_S:.0f} s ({error}); see {settings.logs_dir}"
                ) from error
            await asyncio.sleep(0.03)
        else:
            return
