"""virt-api: the process that serves the admission webhooks and subresources.kubevirt.io."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from kobune.api.core import ConfigMap, Secret
from kobune.base.errors import RetryableError
from kobune.kube.client.config import load_config
from kobune.kube.client.core import CONFIG_MAPS, SECRETS
from kobune.kube.client.http import HttpClient
from kobune.kube.client.kubevirt import KUBEVIRTS, VIRTUAL_MACHINE_INSTANCE_PRESETS
from kobune.kube.client.protocol import Client
from kobune.kube.informer import Informer, InformerPool
from kobune.virt.admission.frontproxy import FrontProxy
from kobune.virt.admission.lookups import ClusterLookups
from kobune.virt.admission.review import decode_review, encode_verdict
from kobune.virt.admission.subresources.handler_client import HandlerClient
from kobune.virt.admission.subresources.instances import InstanceVerbs
from kobune.virt.admission.subresources.machines import MachineVerbs
from kobune.virt.admission.subresources.routes import Subresources
from kobune.virt.admission.tls import ClientTls, ServerTls
from kobune.virt.admission.webhooks import Webhooks

__all__ = ["VirtApiConfig", "run"]

log = logging.getLogger(__name__)

SERVER_SECRET: Final = "kobune-virt-api-certs"  # noqa: S105 - the name of a Secret
CLIENT_SECRET: Final = "kobune-virt-handler-client-certs"  # noqa: S105
FRONT_PROXY_NAMESPACE: Final = "kube-system"
FRONT_PROXY_CONFIG_MAP: Final = "extension-apiserver-authentication"
BODY_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""An AdmissionReview carries an object of at most 3 MiB twice."""
START_TIMEOUT_S: Final = 120.0


class PortInUse(RetryableError):
    """The address cannot be listened on; somebody else has it."""

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(f"virt-api cannot listen on {host}:{port}: {error.strerror or error}")


@dataclass(frozen=True, slots=True)
class VirtApiConfig:
    """Where to listen. Without `kubeconfig`, the pod's service account is used."""

    listen_host: str
    listen_port: int
    kubeconfig: Path | None = None
    namespace: str = "kobune"


class _Trust:
    """Certificates and the front proxy, kept fresh by informers."""

    def __init__(self, pool: InformerPool, namespace: str) -> None:
        self.server = ServerTls()
        self.client = ClientTls()
        self.front_proxy: FrontProxy | None = None
        self.certificate_loaded = asyncio.Event()
        self._follow(pool, namespace, SERVER_SECRET, self._server_certificate)
        self._follow(pool, namespace, CLIENT_SECRET, self.client.take_certificate)
        proxies: Informer[ConfigMap] = pool.of(
            CONFIG_MAPS, namespace=FRONT_PROXY_NAMESPACE, field_selector=f"metadata.name={FRONT_PROXY_CONFIG_MAP}"
        )
        proxies.add_handler(self._take_front_proxy)

    def _follow(self, pool: InformerPool, namespace: str, name: str, take: Callable[[dict[str, str]], None]) -> None:
        def handle(_: Secret | None, secret: Secret | None) -> None:
            if secret is None:
                return
            try:
                take(secret.data)
            except ValueError as error:
                log.error("Secret %s/%s: %s; the last good certificate stays in use", namespace, name, error)

        informer = pool.of(SECRETS, namespace=namespace, field_selector=f"metadata.name={name}")
        informer.add_handler(handle)

    def _server_certificate(self, data: dict[str, str]) -> None:
        self.server.take_certificate(data)
        self.certificate_loaded.set()

    def _take_front_proxy(self, _: ConfigMap | None, config_map: ConfigMap | None) -> None:
        found = FrontProxy.of(config_map) if config_map is not None else None
        if found is not None:
            self.server.trust_clients(found.ca_pem)
            self.front_proxy = found


async def run(config: VirtApiConfig, *, ready: asyncio.Event | None = None) -> None:
    """Serve until cancelled; `ready` is set once the port is open."""
    client = HttpClient(load_config(config.kubeconfig))
    pool = InformerPool(client)
    trust = _Trust(pool, config.namespace)
    installations = pool.of(KUBEVIRTS)
    handlers = HandlerClient(client, trust.client)
    app = make_app(
        client,
        ClusterLookups(client, installations, pool.of(VIRTUAL_MACHINE_INSTANCE_PRESETS)),
        handlers,
        trust,
        config.namespace,
    )
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pool.run(), name="informers")
            async with asyncio.timeout(START_TIMEOUT_S):
                await pool.wait_synced(START_TIMEOUT_S)
                await trust.certificate_loaded.wait()
            await runner.setup()
            site = web.TCPSite(runner, config.listen_host, config.listen_port, ssl_context=trust.server.context)
            try:
                await site.start()
            except OSError as error:
                raise PortInUse(config.listen_host, config.listen_port, error) from error
            log.info("virt-api listens on %s", site.name)
            if ready is not None:
                ready.set()
    except ExceptionGroup as group_error:
        # One cause is told as itself; its traceback alone says more than the group's.
        raise group_error.exceptions[0] from None
    finally:
        await runner.cleanup()
        await handlers.close()
        await client.close()


def make_app(
    client: Client, lookups: ClusterLookups, handlers: HandlerClient, trust: _Trust, namespace: str
) -> web.Application:
    """The application: webhooks, subresources, health."""
    app = web.Application(client_max_size=BODY_LIMIT_BYTES)
    webhooks = Webhooks(lookups, namespace=namespace)
    for path in webhooks.paths:
        app.router.add_post(path, _webhook_handler(webhooks, path))
    instances = InstanceVerbs(client, handlers, lookups.gates)
    machines = MachineVerbs(client, instances, lookups)
    Subresources(client, machines, instances, lambda: trust.front_proxy).add_routes(app)
    app.router.add_get("/healthz", _healthz)
    return app


def _webhook_handler(webhooks: Webhooks, path: str) -> Callable[[web.Request], "asyncio.Future[web.Response]"]:
    async def handle(http: web.Request) -> web.Response:
        try:
            request = decode_review(await http.read())
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        verdict = await webhooks.answer(path, request)
        return web.Response(body=encode_verdict(request, verdict), content_type="application/json")

    return handle  # type: ignore[return-value]


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")
