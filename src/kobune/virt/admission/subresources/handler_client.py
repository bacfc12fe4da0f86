"""Requests to the virt-handler of an instance's node.

Owns: finding it (annotation on the Node) and the connection, with both sides' certificates checked.
"""

from typing import Any, Final

import aiohttp
import msgspec

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.kube.client.core import NODES
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.virt.admission.subresources.failure import Failure
from kobune.virt.admission.tls import ClientTls

__all__ = ["HandlerClient"]

ADDRESS_ANNOTATION: Final = "kobune.io/virt-handler-address"
SERVER_NAME: Final = "kobune-virt-handler"
ANSWER_LIMIT_BYTES: Final = 4 * 1024 * 1024
MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024
SUBPROTOCOL: Final = "plain.kubevirt.io"


class HandlerClient:
    """Speaks to whichever virt-handler an instance has. Raises `Failure` for every way that can go wrong."""

    def __init__(self, client: Client, tls: ClientTls, *, timeout_s: float = 20.0) -> None:
        self._client = client
        self._tls = tls
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def call(self, method: str, vmi: VirtualMachineInstance, verb: str, body: bytes = b"") -> bytes:
        """One request; the body of its answer."""
        url = await self._url(vmi, verb)
        limit = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with self._open().request(
                method, url, data=body, ssl=self._context(), server_hostname=SERVER_NAME, timeout=limit
            ) as response:
                answer = await response.content.read(ANSWER_LIMIT_BYTES)
                if response.status >= 400:
                    raise _failure(response.status, answer)
                return answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(vmi, error) from error

    async def stream(self, vmi: VirtualMachineInstance, verb: str) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket; the caller closes it."""
        url = await self._url(vmi, verb)
        try:
            return await self._open().ws_connect(
                url,
                protocols=(SUBPROTOCOL,),
                ssl=self._context(),
                server_hostname=SERVER_NAME,
                max_msg_size=MESSAGE_LIMIT_BYTES,
                heartbeat=30.0,
                timeout=aiohttp.ClientWSTimeout(ws_close=5.0),
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status in (404, 409):
                why = "all slots are in use, or it" if verb == "usbredir" else "it"
                raise Failure(error.status, "Conflict", f"{verb} of the guest: {why} is not there yet") from error
            raise _unreachable(vmi, error) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _unreachable(vmi, error) from error

    async def close(self) -> None:
        """Release connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    def _context(self) -> Any:
        if self._tls.context is None:
            raise Failure(503, "ServiceUnavailable", "virt-api has no certificate for virt-handler yet; try again")
        return self._tls.context

    async def _url(self, vmi: VirtualMachineInstance, verb: str) -> str:
        node = vmi.status.node_name or ""
        try:
            annotations = (await self._client.get(NODES, node)).metadata.annotations
        except NotFound:
            annotations = {}
        address = annotations.get(ADDRESS_ANNOTATION)
        if not address:
            raise Failure(503, "ServiceUnavailable", f"virt-handler of node {node!r} has not announced itself")
        metadata = vmi.metadata
        return f"https://{address}/v1/namespaces/{metadata.namespace}/virtualmachineinstances/{metadata.name}/{verb}"


def _failure(code: int, answer: bytes) -> Failure:
    """The Status that virt-handler answered, or its text."""
    try:
        status = msgspec.json.decode(answer)
        return Failure(code, str(status.get("reason") or "InternalError"), str(status["message"]))
    except (msgspec.DecodeError, KeyError, AttributeError):
        return Failure(code, "InternalError", answer[:500].decode(errors="replace"))


def _unreachable(vmi: VirtualMachineInstance, error: BaseException) -> Failure:
    node = vmi.status.node_name
    return Failure(
        503, "ServiceUnavailable", f"virt-handler of node {node} does not answer: {error or type(error).__name__}"
    )
