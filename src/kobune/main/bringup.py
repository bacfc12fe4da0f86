"""The steps that bring an instance's components up, and what is done while they run.

Order: API, controllers, virtualization objects, then (unless control plane only) containerd, images and the node's
components. Everything is idempotent: a second start finds what the first one made.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kobune.base.errors import KobuneError, TerminalError
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
from kobune.main.logs import keep_logs_bounded
from kobune.main.node import bring_up_node
from kobune.main.progress import Progress
from kobune.main.settings import Settings
from kobune.main.supervisor import ComponentSpec, Supervisor
from kobune.operator.common.install import install_common
from kobune.operator.install import InstallOptions, install

__all__ = ["components_up"]

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 60.0
INSTALL_EVERY_S = 6 * 3600.0
INSTALLATION = InstallOptions(companions=True)


@asynccontextmanager
async def components_up(settings: Settings, progress: Progress) -> AsyncIterator[None]:
    """All components, ready, while the block runs; stopped afterwards in the order of their start, backwards.

    Raises the error of the step that failed, and TerminalError when a component says that it can never work.
    """
    supervisor = Supervisor(settings.logs_dir, settings.run_dir, HostRunner())
    bring_up = asyncio.ensure_future(_bring_up(settings, supervisor, progress))
    upkeep: list[asyncio.Task[None]] = []
    try:
        ends: list[asyncio.Future[Any]] = [bring_up, supervisor.refused]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not bring_up.done():
            raise TerminalError(supervisor.refused.result())
        client = bring_up.result()
        upkeep = [
            asyncio.ensure_future(keep_tokens_fresh(settings, client)),
            asyncio.ensure_future(_keep_installed(client)),
            asyncio.ensure_future(keep_logs_bounded(settings.logs_dir)),
        ]
        try:
            yield
        finally:
            for task in upkeep:
                task.cancel()
            await asyncio.gather(*upkeep, return_exceptions=True)
            await client.close()
    finally:
        bring_up.cancel()
        await asyncio.gather(bring_up, return_exceptions=True)
        await supervisor.stop()


async def _keep_installed(client: HttpClient) -> None:
    """Install again now and then: it writes only what is missing, and renews certificates that are about to expire."""
    wait_s = 0.0  # the common instancetypes need virt-api, which answers by now
    while True:
        try:
            if wait_s:
                await asyncio.sleep(wait_s)
                await install(client, INSTALLATION)
            await install_common(client)
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
