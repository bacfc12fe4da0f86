"""Verbs on a running instance: state checks here, the deed by virt-handler."""

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from kobune.api.kubevirt import (
    EvacuateCancelOptions,
    ObjectGraphOptions,
    VirtualMachineInstance,
)
from kobune.kube.client.core import PODS
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES
from kobune.kube.client.objects import controller_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.types import Patch
from kobune.virt.admission.subresources.change import Change, change_object
from kobune.virt.admission.subresources.failure import Failure, bad_request, conflict
from kobune.virt.admission.subresources.handler_client import HandlerClient
from kobune.virt.admission.subresources.objectgraph import instance_graph
from kobune.virt.admission.subresources.power import decode_options
from kobune.virt.admission.subresources.streams import SUBPROTOCOL, join_tcp, join_udp, join_websockets
from kobune.virt.admission.subresources.volumes import (
    add_volume,
    check_add_volume,
    check_remove_volume,
    ephemeral_annotations,
    remove_volume,
)
from kobune.virt.domain.networks import PRIMARY

__all__ = ["InstanceVerbs", "json_answer"]

_KIND: Final = "virtualmachineinstance"
DIAL_TIMEOUT_S: Final = 10.0
MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024

InstanceVerb = Callable[[web.Request, VirtualMachineInstance, str], Awaitable[web.StreamResponse]]


class InstanceVerbs:
    """One coroutine per verb; `rest` is what follows the verb in the path."""

    def __init__(self, client: Client, handlers: HandlerClient, gates: Callable[[], frozenset[str]]) -> None:
        self._client = client
        self._handlers = handlers
        self._gates = gates
        self.verbs: dict[str, InstanceVerb] = {
            "console": self._console,
            "vnc": self._vnc,
            "portforward": self.port_forward,
            "usbredir": self._usb_redirection,
            "guestosinfo": self._question,
            "userlist": self._question,
            "filesystemlist": self._question,
            "pause": self._command,
            "unpause": self._command,
            "softreboot": self._command,
            "reset": self._command,
            "freeze": self._command,
            "unfreeze": self._command,
            "addvolume": self._add_volume,
            "removevolume": self._remove_volume,
            "objectgraph": self._object_graph,
            "evacuate": self.cancel_evacuation,
            "sev": self._sev,
            "backup": self._backup,
            "redefine-checkpoint": self._backup,
        }

    async def _command(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        verb = request.match_info["verb"]
        name = vmi.metadata.name
        if vmi.status.phase != "Running":
            raise conflict(_KIND, name, "VM is not running")
        paused = _condition(vmi, "Paused")
        if verb == "pause":
            if vmi.spec.liveness_probe is not None:
                raise Failure(403, "Forbidden", "Pausing VMIs with LivenessProbe is currently not supported")
            if paused:
                raise conflict(_KIND, name, "VMI is already paused")
        elif verb == "unpause" and not paused:
            raise conflict(_KIND, name, "VMI is not paused")
        elif verb == "softreboot":
            if paused:
                raise conflict(_KIND, name, "VMI is paused")
            if not _condition(vmi, "AgentConnected") and not _has_acpi(vmi):
                raise conflict(_KIND, name, "VMI neither have the agent connected nor the ACPI feature enabled")
        body = await request.read()
        if "All" in _dry_run(body):
            return web.Response(status=202)
        await self._handlers.call("PUT", vmi, verb, _freeze_body(body) if verb == "freeze" else b"")
        return web.Response(status=202)

    async def _question(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vmi.metadata.name, "VMI is not running")
        if not _condition(vmi, "AgentConnected"):
            raise conflict(_KIND, vmi.metadata.name, "VMI does not have guest agent connected")
        answer = await self._handlers.call("GET", vmi, request.match_info["verb"])
        return web.Response(body=answer, content_type="application/json")

    async def _console(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        _must_run(vmi)
        if vmi.spec.domain.devices.autoattach_serial_console is False:
            raise bad_request("No serial consoles are present.")
        return await self._stream(request, vmi, "console")

    async def _vnc(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        _must_run(vmi)
        if rest not in ("", "screenshot"):
            raise Failure(404, "NotFound", f"there is no subresource vnc/{rest}")
        if vmi.spec.domain.devices.autoattach_graphics_device is False:
            raise bad_request("No graphics devices are present.")
        if rest == "screenshot":
            picture = await self._handlers.call("GET", vmi, "vnc/screenshot")
            return web.Response(body=picture, content_type="image/png")
        return await self._stream(request, vmi, "vnc")

    async def _stream(self, request: web.Request, vmi: VirtualMachineInstance, verb: str) -> web.StreamResponse:
        """The guest's end first: a failure there can still be told with a status."""
        if not _asks_for_websocket(request):
            raise bad_request(f"{verb} needs a websocket with the subprotocol {SUBPROTOCOL}")
        guest = await self._handlers.stream(vmi, verb)
        client = _websocket()
        try:
            await client.prepare(request)
        except BaseException:
            await guest.close()
            raise
        await join_websockets(client, guest)
        return client

    async def port_forward(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        """`rest` is PORT, PORT/tcp or PORT/udp."""
        _must_run(vmi)
        match = re.fullmatch(r"(\d{1,5})(?:/(tcp|udp))?", rest)
        if match is None or not 0 < int(match[1]) < 65536:
            raise bad_request(f"no port in {rest!r}: use portforward/PORT/tcp or portforward/PORT/udp")
        address, port = _pod_address(vmi), int(match[1])
        if not _asks_for_websocket(request):
            raise bad_request(f"portforward needs a websocket with the subprotocol {SUBPROTOCOL}")
        if match[2] == "udp":
            client = _websocket()
            await client.prepare(request)
            await join_udp(client, address, port)
            return client
        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(address, port)
        except (OSError, TimeoutError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no answer in time"
            message = f"{address} port {port} does not answer: {why}"
            raise Failure(503, "ServiceUnavailable", message) from error
        client = _websocket()
        try:
            await client.prepare(request)
        except BaseException:
            writer.close()
            raise
        await join_tcp(client, reader, writer)
        return client

    async def _usb_redirection(
        self, request: web.Request, vmi: VirtualMachineInstance, rest: str
    ) -> web.StreamResponse:
        if vmi.spec.domain.devices.client_passthrough is None:
            raise conflict(_KIND, vmi.metadata.name, "Not configured with USB Redirection")
        _must_run(vmi)
        return await self._stream(request, vmi, "usbredir")

    async def _add_volume(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        options = check_add_volume(await request.read())
        return await self._change_volumes(
            vmi,
            lambda spec: add_volume(_KIND, vmi.metadata.name, spec, options),
            dry_run="All" in (options.get("dryRun") or []),
        )

    async def _remove_volume(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        body = await request.read()
        name = check_remove_volume(body)
        return await self._change_volumes(
            vmi, lambda spec: remove_volume(_KIND, vmi.metadata.name, spec, name), dry_run="All" in _dry_run(body)
        )

    async def _change_volumes(
        self, vmi: VirtualMachineInstance, change: Change, *, dry_run: bool
    ) -> web.StreamResponse:
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vmi.metadata.name, "VMI is not running")

        def patch(raw: dict[str, Any]) -> dict[str, Any]:
            spec = change(raw["spec"])
            return {
                "metadata": {"annotations": ephemeral_annotations(raw["metadata"], raw["spec"], spec)},
                "spec": spec,
            }

        await change_object(self._client, VIRTUAL_MACHINE_INSTANCES, vmi.metadata, patch, dry_run=dry_run)
        return web.Response(status=202)

    async def _object_graph(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        options: ObjectGraphOptions = decode_options(await request.read(), ObjectGraphOptions)
        pod = await self.launcher_pod(vmi.metadata.namespace, vmi.metadata.name)
        return json_answer(instance_graph(vmi, pod, options))

    async def launcher_pod(self, namespace: str, name: str) -> str:
        """The name of the pod that runs an instance, empty when there is none."""
        pods = await self._client.list(PODS, namespace, label_selector="kubevirt.io=virt-launcher")
        owned = (
            pod.metadata.name
            for pod in pods.items
            if (owner := controller_of(pod)) is not None
            and (owner.kind, owner.name) == ("VirtualMachineInstance", name)
        )
        return next(owned, "")

    async def cancel_evacuation(
        self, request: web.Request, vmi: VirtualMachineInstance, rest: str
    ) -> web.StreamResponse:
        """Nothing to do when nothing is being evacuated."""
        if vmi.status.evacuation_node_name:
            options: EvacuateCancelOptions = decode_options(await request.read(), EvacuateCancelOptions)
            path = "/status/evacuationNodeName"
            operations = (
                {"op": "test", "path": path, "value": options.evacuation_node_name},
                {"op": "remove", "path": path},
            )
            if "All" not in options.dry_run:
                name, namespace = vmi.metadata.name, vmi.metadata.namespace
                await self._client.patch(VIRTUAL_MACHINE_INSTANCES, name, Patch.json(*operations), namespace)
        return web.Response(status=200)

    async def _sev(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        """Guests with encrypted memory are not run; the answer is the one that a guest without it gets."""
        if rest == "setupsession":
            options = decode_options(await request.read(), dict)
            for field, what in (("session", "Session blob"), ("dhCert", "DH cert")):
                if not options.get(field):
                    raise bad_request(f"{what} is required")
        name, phase = vmi.metadata.name, vmi.status.phase
        if rest == "setupsession" and phase != "Scheduled":
            raise conflict(_KIND, name, "VMI is not in Scheduled phase")
        if rest == "fetchcertchain" and phase not in ("Scheduled", "Running"):
            raise conflict(_KIND, name, "VMI is not assigned to a node yet")
        if rest in ("querylaunchmeasurement", "injectlaunchsecret") and phase != "Running":
            raise conflict(_KIND, name, "VMI is not running")
        raise conflict(_KIND, name, "Attestation not requested for VMI")

    async def _backup(self, request: web.Request, vmi: VirtualMachineInstance, rest: str) -> web.StreamResponse:
        self._must_have_gate("IncrementalBackup")
        raise conflict(_KIND, vmi.metadata.name, "incremental backups are not supported yet")

    def _must_have_gate(self, gate: str) -> None:
        if gate not in self._gates():
            raise bad_request(f"{gate} feature gate is not enabled")


def _pod_address(vmi: VirtualMachineInstance) -> str:
    """Where the guest is reached on the pod network.

    Only that interface's first address is Kubernetes' word; the others are the guest's own, which could name this node.
    """
    if not vmi.status.interfaces:
        raise bad_request(f"No network interfaces are reported by {vmi.metadata.name}")
    own = next((one for one in vmi.status.interfaces if one.pod_interface_name == PRIMARY and one.ip_address), None)
    if own is None or own.ip_address is None:
        raise bad_request(f"{vmi.metadata.name} has no address on the pod network")
    return own.ip_address


def _must_run(vmi: VirtualMachineInstance) -> None:
    if vmi.status.phase != "Running":
        raise bad_request("VMI is not running")


def _condition(vmi: VirtualMachineInstance, kind: str) -> bool:
    return any(item.type == kind and item.status == "True" for item in vmi.status.conditions)


def _has_acpi(vmi: VirtualMachineInstance) -> bool:
    """Whether the guest has a power button; it has unless that was turned off."""
    features = vmi.spec.domain.features
    return features is None or features.acpi is None or features.acpi.enabled is not False


def _dry_run(body: bytes) -> list[str]:
    raw = decode_options(body, dict)
    return raw.get("dryRun") or []


def _freeze_body(body: bytes) -> bytes:
    """The timeout in nanoseconds; users give a Go duration such as 5m."""
    raw = decode_options(body, dict)
    value = raw.get("unfreezeTimeout", 0)
    if isinstance(value, str):
        seconds = 0.0
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
        if not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s|us|ns))*", value):
            raise bad_request(f"unfreezeTimeout {value!r} is no duration: use 5m or 300s")
        for number, _, unit in re.findall(r"(\d+(\.\d+)?)(h|ms|m|s|us|ns)", value):
            seconds += float(number) * units[unit]
        value = int(seconds * 1e9)
    return json.dumps({"unfreezeTimeout": value}).encode()


def _websocket() -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(SUBPROTOCOL,), max_msg_size=MESSAGE_LIMIT_BYTES, heartbeat=30.0, compress=False
    )


def _asks_for_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def json_answer(document: Any) -> web.Response:
    """JSON of any API object."""
    return web.Response(body=msgspec.json.encode(document), content_type="application/json")
