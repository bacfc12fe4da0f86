"""The HTTP interface: /v1/namespaces/NAMESPACE/virtualmachineinstances/NAME/VERB.

GET console, vnc, usbredir: websocket. GET vnc/screenshot: PNG. GET guestosinfo, userlist, filesystemlist: JSON as in
subresources.kubevirt.io.
PUT pause, unpause, softreboot, reset, freeze, unfreeze. GET /healthz. Failures are metav1.Status objects.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from kobune.base.errors import KobuneError
from kobune.kube.client.resource import Key
from kobune.virt.domain.paths import USB_REDIRECTION_SLOTS, USB_REDIRECTION_SOCKET
from kobune.virt.handler.launchers import LauncherLink, Launchers, NoLauncher, pod_volume
from kobune.virt.handler.server.render import filesystem_list, guest_os_info, user_list
from kobune.virt.handler.server.stream import MESSAGE_LIMIT_BYTES, Sessions, SocketGone, connect_unix
from kobune.virt.handler.server.tls import client_name
from kobune.virt.launcherproto.client import LauncherClient
from kobune.virt.launcherproto.errors import CommandFailed, ConnectionLost
from kobune.virt.launcherproto.messages import ErrorCode

__all__ = ["make_app"]

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_LIMIT_BYTES: Final = 64 * 1024
SUBPROTOCOL: Final = "plain.kubevirt.io"
HEARTBEAT_S: Final = 30.0
_SOCKETS: Final = {"console": "virt-serial0", "vnc": "virt-vnc"}
_STATUS_OF: Final = {
    ErrorCode.ILLEGAL_STATE: (409, "Conflict"),
    ErrorCode.AGENT_UNAVAILABLE: (409, "Conflict"),
    ErrorCode.INVALID_SPEC: (422, "Invalid"),
    ErrorCode.INVALID_DISK: (422, "Invalid"),
    ErrorCode.TIMEOUT: (504, "Timeout"),
}


def make_app(launchers: Launchers, kubelet_root: Path, client_names: frozenset[str]) -> web.Application:
    """The application; with `client_names` empty anybody may call it, which only tests do."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = client_name(request.transport)
        if client_names and name not in client_names:
            return _failure(403, "Forbidden", f"client {name!r} may not use this server")
        try:
            return await handler(request)
        except NoLauncher as error:
            return _failure(404, "NotFound", str(error))
        except SocketGone as error:
            return _failure(409, "Conflict", f"the guest is not there yet, or not any more: {error}")
        except CommandFailed as error:
            code, reason = _STATUS_OF.get(error.code, (500, "InternalError"))
            return _failure(code, reason, str(error))
        except ConnectionLost as error:
            return _failure(503, "ServiceUnavailable", str(error))
        except KobuneError as error:
            return _failure(500, "InternalError", str(error))

    app = web.Application(middlewares=[guard], client_max_size=BODY_LIMIT_BYTES)
    verbs = _Verbs(launchers, kubelet_root)
    root = "/v1/namespaces/{namespace}/virtualmachineinstances/{name}"
    app.router.add_get("/healthz", _healthz)
    for verb in _SOCKETS:
        app.router.add_get(f"{root}/{verb}", verbs.stream)
    app.router.add_get(f"{root}/usbredir", verbs.redirect_usb)
    for verb in _COMMANDS:
        app.router.add_put(f"{root}/{verb}", verbs.command)
    app.router.add_get(f"{root}/vnc/screenshot", verbs.screenshot)
    for verb in _QUESTIONS:
        app.router.add_get(f"{root}/{verb}", verbs.question)
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _freeze(client: LauncherClient, body: dict[str, Any]) -> None:
    """`unfreezeTimeout` is a Go duration in nanoseconds, as KubeVirt sends it."""
    await client.freeze(float(body.get("unfreezeTimeout") or 0) / 1e9)


async def _pause(client: LauncherClient, _: dict[str, Any]) -> None:
    await client.pause()


async def _unpause(client: LauncherClient, _: dict[str, Any]) -> None:
    await client.unpause()


async def _soft_reboot(client: LauncherClient, _: dict[str, Any]) -> None:
    await client.soft_reboot()


async def _reset(client: LauncherClient, _: dict[str, Any]) -> None:
    await client.reset()


async def _unfreeze(client: LauncherClient, _: dict[str, Any]) -> None:
    await client.unfreeze()


async def _guest_info(client: LauncherClient) -> dict[str, Any]:
    return guest_os_info(await client.guest_info())


async def _users(client: LauncherClient) -> dict[str, Any]:
    return user_list(await client.users())


async def _filesystems(client: LauncherClient) -> dict[str, Any]:
    return filesystem_list(await client.filesystems())


_COMMANDS: Final[dict[str, Callable[[LauncherClient, dict[str, Any]], Awaitable[None]]]] = {
    "pause": _pause,
    "unpause": _unpause,
    "softreboot": _soft_reboot,
    "reset": _reset,
    "freeze": _freeze,
    "unfreeze": _unfreeze,
}
_QUESTIONS: Final[dict[str, Callable[[LauncherClient], Awaitable[dict[str, Any]]]]] = {
    "guestosinfo": _guest_info,
    "userlist": _users,
    "filesystemlist": _filesystems,
}


class _Verbs:
    def __init__(self, launchers: Launchers, kubelet_root: Path) -> None:
        self._launchers = launchers
        self._kubelet_root = kubelet_root
        self._sessions = Sessions()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Console and VNC."""
        return await self._join(request, self._link(request), _SOCKETS[_verb(request)])

    async def redirect_usb(self, request: web.Request) -> web.StreamResponse:
        """usbredir, on the first slot that no client has."""
        link = self._link(request)
        slots = [f"{link.pod_uid}/{USB_REDIRECTION_SOCKET}{slot}" for slot in range(USB_REDIRECTION_SLOTS)]
        with self._sessions.free(slots) as name:
            if name is not None:
                return await self._join(request, link, name.rpartition("/")[2])
        return _failure(409, "Conflict", f"all {USB_REDIRECTION_SLOTS} slots for USB devices of clients are in use")

    async def _join(self, request: web.Request, link: LauncherLink, socket: str) -> web.StreamResponse:
        guest = await connect_unix(pod_volume(self._kubelet_root, link.pod_uid, "private"), socket)
        client = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,), heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_LIMIT_BYTES, compress=False
        )
        try:
            await client.prepare(request)
        except BaseException:
            guest[1].close()
            raise
        await self._sessions.run(f"{link.pod_uid}/{socket}", client, guest)
        return client

    async def command(self, request: web.Request) -> web.StreamResponse:
        """Anything that changes the guest; answered once it is done."""
        link = self._link(request)
        text = await request.read()
        try:
            body = msgspec.json.decode(text or b"{}", type=dict[str, Any])
        except msgspec.DecodeError as error:
            return _failure(400, "BadRequest", f"the body is no JSON object: {error}")
        await _COMMANDS[_verb(request)](link.client, body)
        return web.Response(status=200)

    async def question(self, request: web.Request) -> web.StreamResponse:
        """Anything that the guest agent knows."""
        answer = await _QUESTIONS[_verb(request)](self._link(request).client)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def screenshot(self, request: web.Request) -> web.StreamResponse:
        """What the guest's screen shows, as PNG."""
        image = await self._link(request).client.screenshot()
        return web.Response(body=image.png, content_type="image/png")

    def _link(self, request: web.Request) -> LauncherLink:
        return self._launchers.link(Key(request.match_info["namespace"], request.match_info["name"]))


def _verb(request: web.Request) -> str:
    return request.path.rpartition("/")[2]


def _failure(code: int, reason: str, message: str) -> web.Response:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.Response(status=code, body=msgspec.json.encode(status), content_type="application/json")
