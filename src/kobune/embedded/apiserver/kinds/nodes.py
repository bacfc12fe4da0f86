"""Streams to nodes: logs, exec, attach, port-forward and proxies, passed to the kubelet of the pod's node.

Owns: which kubelet, which container, which of the kubelet's paths. Bytes and websockets pass through untouched.
"""

import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from kobune.embedded.apiserver.http.message import AnyResponse, Response
from kobune.embedded.apiserver.kinds.connect import connect
from kobune.embedded.apiserver.kinds.log_options import check_log_options
from kobune.embedded.apiserver.pki import Pki
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.services_map import ServiceMap, ServiceUnresolved
from kobune.embedded.apiserver.status import StatusError, bad_request, internal, not_found, unavailable
from kobune.embedded.apiserver.upstream import Target, UpstreamError, proxy

__all__ = ["NodeStreams"]

_ADDRESS_ORDER = ("InternalIP", "ExternalIP", "Hostname")
_LOG_OPTIONS = (
    "follow",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "tailLines",
    "limitBytes",
    "stream",
)
_STREAMS = {"stdin": "input", "stdout": "output", "stderr": "error", "tty": "tty"}
"""Fields of the options object, and what the kubelet calls them."""
_DROP = frozenset({"authorization"})
_DIAL_S = 30.0


class NodeStreams:
    """Handlers of the streaming subresources of pods, nodes and services."""

    def __init__(self, pki: Pki, services: ServiceMap) -> None:
        self._services = services
        # The kubelet's certificate is of this instance's authority; nodes are dialled by address, which is in it.
        self._tls = ssl.create_default_context(cafile=str(pki.ca_file))
        self._tls.load_cert_chain(pki.kubelet_client_cert_file, pki.kubelet_client_key_file)

    async def log(self, call: Call) -> AnyResponse:
        """GET pods/log."""
        check_log_options(call.request, call.info.name)
        pod = self._pod(call)
        container = self._container(call, pod, "log", call.request.option("container"))
        if not (pod.get("spec") or {}).get("nodeName"):
            return Response(204, b"", "")
        options = [(name, value) for name in _LOG_OPTIONS for value in call.request.query.get(name, ())]
        path = f"/containerLogs/{call.info.namespace}/{call.info.name}/{container}"
        return await self._to_kubelet(call, pod, path, options, _log_failure)

    async def execute(self, call: Call) -> AnyResponse:
        """pods/exec."""
        return await self._stream(call, "exec")

    async def attach(self, call: Call) -> AnyResponse:
        """pods/attach."""
        return await self._stream(call, "attach")

    async def port_forward(self, call: Call) -> AnyResponse:
        """pods/portforward."""
        await connect(call)
        pod = self._assigned(call)
        options = [("ports", value) for value in call.request.query.get("ports", ())]
        options += [("port", value) for value in call.request.query.get("port", ())]
        return await self._to_kubelet(call, pod, f"/portForward/{call.info.namespace}/{call.info.name}", options)

    async def _stream(self, call: Call, verb: str) -> AnyResponse:
        asked = await connect(call)
        pod = self._assigned(call)
        container = self._container(call, pod, verb, asked.get("container", ""))
        command = asked.get("command") or []
        if verb == "exec" and not command:
            raise bad_request("you must specify at least one command for the container")
        options = [("command", argument) for argument in command]
        options += [(name, "1") for flag, name in _STREAMS.items() if asked.get(flag)]
        path = f"/{verb}/{call.info.namespace}/{call.info.name}/{container}"
        return await self._to_kubelet(call, pod, path, options)

    async def node_proxy(self, call: Call) -> AnyResponse:
        """nodes/proxy: any path of the kubelet."""
        await connect(call)
        item = call.services.storage.collection("core/nodes").get("", call.info.name.partition(":")[0])
        if item is None:
            raise not_found("", "nodes", call.info.name)
        rest = "/" + "/".join(call.info.rest)
        return await self._send(call, self._kubelet(item.object()), rest, call.request.raw_query)

    async def pod_proxy(self, call: Call) -> AnyResponse:
        """pods/proxy: plain HTTP to the pod's address."""
        await connect(call)
        name, _, port = call.info.name.partition(":")
        call.info.name = name
        pod = self._assigned(call)
        address = (pod.get("status") or {}).get("podIP")
        if not address:
            raise bad_request(f"address not allowed: pod {name} has no address")
        target = Target(address, int(port or 80), None, address)
        return await self._send(call, target, "/" + "/".join(call.info.rest), call.request.raw_query)

    async def service_proxy(self, call: Call) -> AnyResponse:
        """services/proxy: [https:]NAME[:PORT]."""
        await connect(call)
        parts = call.info.name.split(":")
        scheme, name, port = (
            (parts[0], parts[1], parts[2]) if len(parts) == 3 else ("", parts[0], parts[1] if len(parts) > 1 else "")
        )
        item = call.services.storage.collection("core/services").get(call.info.namespace, name)
        if item is None:
            raise not_found("", "services", name)
        ports = (item.object().get("spec") or {}).get("ports") or [{}]
        number = (
            int(port) if port.isdigit() else next((p["port"] for p in ports if p.get("name") == port or not port), 0)
        )
        try:
            host, real = self._services.resolve(call.info.namespace, name, number)
        except ServiceUnresolved as error:
            raise unavailable(f'no endpoints available for service "{name}"') from error
        tls = None
        if scheme == "https":
            tls = ssl.create_default_context()
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        target = Target(host, real, tls, host)
        return await self._send(call, target, "/" + "/".join(call.info.rest), call.request.raw_query)

    def _pod(self, call: Call) -> dict[str, Any]:
        item = call.resource.collection.get(call.info.namespace, call.info.name)
        if item is None:
            raise not_found("", "pods", call.info.name)
        return item.object()

    def _assigned(self, call: Call) -> dict[str, Any]:
        pod = self._pod(call)
        if not (pod.get("spec") or {}).get("nodeName"):
            raise bad_request(f"pod {call.info.name} does not have a host assigned")
        return pod

    def _container(self, call: Call, pod: dict[str, Any], verb: str, wanted: str) -> str:
        spec = pod["spec"]
        containers = [c["name"] for c in spec.get("containers") or ()]
        initial = [c["name"] for c in spec.get("initContainers") or ()]
        ephemeral = [c["name"] for c in spec.get("ephemeralContainers") or ()]
        name = call.info.name
        if not wanted:
            if len(containers) == 1 and (not initial or verb != "log"):
                return str(containers[0])
            if len(containers) == 1 and not initial:
                return str(containers[0])
            message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
            if initial:
                message += f" or one of the init containers: [{' '.join(initial)}]"
            if ephemeral:
                message += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
            raise bad_request(message)
        if wanted not in (*containers, *initial, *ephemeral):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted

    def _kubelet(self, node: dict[str, Any]) -> Target:
        status = node.get("status") or {}
        addresses = {entry["type"]: entry["address"] for entry in reversed(status.get("addresses") or [])}
        address = next((addresses[kind] for kind in _ADDRESS_ORDER if kind in addresses), None)
        if address is None:
            raise internal(f"no preferred addresses found; known addresses: {sorted(addresses)}")
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        # uvloop and OpenSSL match addresses in certificates by the server name as well.
        return Target(
            address, endpoint.get("Port") or 10250, self._tls, address, f"{address}:{endpoint.get('Port') or 10250}"
        )

    async def _to_kubelet(
        self,
        call: Call,
        pod: dict[str, Any],
        path: str,
        options: list[tuple[str, str]],
        failure: Callable[[int, str], StatusError] | None = None,
    ) -> AnyResponse:
        node_name = pod["spec"]["nodeName"]
        item = call.services.storage.collection("core/nodes").get("", node_name)
        if item is None:
            raise not_found("", "nodes", node_name)
        return await self._send(call, self._kubelet(item.object()), path, urlencode(options), failure)

    async def _send(
        self,
        call: Call,
        target: Target,
        path: str,
        query: str,
        failure: Callable[[int, str], StatusError] | None = None,
    ) -> AnyResponse:
        full = f"{path}?{query}" if query else path
        try:
            return await proxy(target, call.request, full, drop=_DROP, timeout_s=_DIAL_S, failure=failure)
        except UpstreamError as error:
            scheme = "https" if target.tls else "http"
            text = f"error dialing backend: {error}"
            raise StatusError(
                500,
                "InternalError",
                text,
                {"causes": [{"message": f"{scheme}://{target.host}:{target.port}{path}: {error}"}]},
            ) from error


_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 429: "TooManyRequests", 503: "ServiceUnavailable"}


def _log_failure(code: int, text: str) -> StatusError:
    """A kubelet says in plain text why there is no log."""
    if code == 500:
        return internal(text)
    return bad_request(text) if code == 400 else StatusError(code, _REASONS.get(code, "Unknown"), text)
