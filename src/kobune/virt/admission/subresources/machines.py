"""Verbs on a VirtualMachine: they change its specification or leave a request in its status."""

import copy
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from kobune.api.kubevirt import (
    ObjectGraphOptions,
    RestartOptions,
    StartOptions,
    StopOptions,
    VirtualMachine,
    VirtualMachineInstance,
)
from kobune.base.quantity import to_bytes
from kobune.kube.client.core import PERSISTENT_VOLUME_CLAIMS
from kobune.kube.client.errors import Conflict, Invalid, NotFound
from kobune.kube.client.kubevirt import VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch
from kobune.virt.admission.defaults.instance import attach_default_devices, default_template
from kobune.virt.admission.lookups import ClusterLookups
from kobune.virt.admission.subresources.change import Change, change_object
from kobune.virt.admission.subresources.failure import bad_request, conflict, not_found
from kobune.virt.admission.subresources.instances import InstanceVerbs, json_answer
from kobune.virt.admission.subresources.memorydump import (
    check_claim,
    check_removal,
    claim_of_request,
    request_of,
    request_of_removal,
)
from kobune.virt.admission.subresources.objectgraph import machine_graph
from kobune.virt.admission.subresources.power import (
    PowerPlan,
    decode_options,
    plan_restart,
    plan_start,
    plan_stop,
    status_patch,
)
from kobune.virt.admission.subresources.volumes import (
    add_volume,
    check_add_volume,
    check_remove_volume,
    remove_volume,
)

__all__ = ["MachineVerbs"]

_KIND: Final = "virtualmachine"
_FINAL_PHASES: Final = ("Succeeded", "Failed")
_RAW_MACHINES: Final[Resource[dict[str, Any]]] = Resource(
    "kubevirt.io", "v1", "virtualmachines", "VirtualMachine", True, dict
)

POWER_ATTEMPTS: Final = 5

MakePlan = Callable[[VirtualMachine, VirtualMachineInstance | None], PowerPlan]
MachineVerb = Callable[[web.Request, VirtualMachine, str], Awaitable[web.StreamResponse]]


class MachineVerbs:
    """One coroutine per verb; `rest` is what follows the verb in the path."""

    def __init__(self, client: Client, instances: InstanceVerbs, lookups: ClusterLookups) -> None:
        self._client = client
        self._lookups = lookups
        self._instances = instances
        self.verbs: dict[str, MachineVerb] = {
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "migrate": self._migrate,
            "expand-spec": self._expand,
            "portforward": self._port_forward,
            "addvolume": self._add_volume,
            "removevolume": self._remove_volume,
            "memorydump": self._memory_dump,
            "removememorydump": self._remove_memory_dump,
            "objectgraph": self._object_graph,
            "evacuate": self._cancel_evacuation,
        }

    async def _start(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        options: StartOptions = decode_options(await request.read(), StartOptions)
        return await self._power(vm, lambda vm, vmi: plan_start(vm, vmi, options), options.dry_run)

    async def _stop(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        options: StopOptions = decode_options(await request.read(), StopOptions)
        return await self._power(vm, lambda vm, vmi: plan_stop(vm, vmi, options), options.dry_run)

    async def _restart(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        options: RestartOptions = decode_options(await request.read(), RestartOptions)
        return await self._power(vm, lambda vm, vmi: plan_restart(vm, vmi, options), options.dry_run)

    async def _power(self, vm: VirtualMachine, plan: MakePlan, dry_run: list[str]) -> web.StreamResponse:
        """Plan and carry out; planned anew on a fresh machine when its requests changed in between."""
        for _ in range(POWER_ATTEMPTS - 1):
            try:
                return await self._carry_out(vm, plan(vm, await self.instance(vm)), dry_run)
            except (Conflict, Invalid):
                vm = await self._client.get(VIRTUAL_MACHINES, vm.metadata.name, vm.metadata.namespace)
        return await self._carry_out(vm, plan(vm, await self.instance(vm)), dry_run)

    async def _carry_out(self, vm: VirtualMachine, plan: PowerPlan, dry_run: list[str]) -> web.StreamResponse:
        if "All" in dry_run:
            return web.Response(status=202)
        name, namespace = vm.metadata.name, vm.metadata.namespace
        if plan.grace_period_s is not None:
            body: dict[str, Any] = {"spec": {"terminationGracePeriodSeconds": plan.grace_period_s}}
            try:
                await self._client.patch(VIRTUAL_MACHINE_INSTANCES, name, Patch.merge(body), namespace)
            except NotFound:
                pass
        if plan.status is not None:
            patch = status_patch(vm, plan.status)
            await self._client.patch(VIRTUAL_MACHINES, name, patch, namespace, subresource="status")
        if plan.spec is not None:
            await self._client.patch(VIRTUAL_MACHINES, name, Patch.merge({"spec": plan.spec}), namespace)
        return web.Response(status=202)

    async def _migrate(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        vmi = await self._must_have_instance(vm)
        if vmi.status.phase != "Running":
            raise conflict(_KIND, vm.metadata.name, "VM is not running")
        raise conflict(_KIND, vm.metadata.name, "live migration is not supported yet")

    async def _expand(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        raw = await self._client.get(_RAW_MACHINES, vm.metadata.name, vm.metadata.namespace)
        expanded = await self.expanded(raw, vm.metadata.namespace)
        return web.Response(body=msgspec.json.encode(expanded), content_type="application/json")

    async def expanded(self, raw: dict[str, Any], namespace: str) -> dict[str, Any]:
        """A machine with its instancetype and preference applied, and without the matchers."""
        vm = msgspec.convert(raw, VirtualMachine)
        sizes = await self._lookups.sizes(namespace, vm.spec, vm.status)
        if sizes.missing:
            raise bad_request(sizes.missing)
        if clashes := sizes.problems(raw["spec"]["template"]):
            raise bad_request(clashes[0].message)
        expanded = copy.deepcopy(raw)
        if vm.spec.instancetype is not None or vm.spec.preference is not None:
            attach_default_devices(expanded["spec"]["template"]["spec"], self._lookups.default_binding())
            expanded = sizes.expand(expanded)
            default_template(expanded["spec"]["template"]["spec"])
        spec = {name: value for name, value in expanded["spec"].items() if name not in ("instancetype", "preference")}
        return {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", **expanded, "spec": spec}

    async def _port_forward(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        vmi = await self.instance(vm)
        if vmi is None:
            raise conflict(_KIND, vm.metadata.name, "VMI is not started")
        return await self._instances.port_forward(request, vmi, rest)

    async def _add_volume(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        """Into the template; virt-controller plugs it into a running instance."""
        options = check_add_volume(await request.read())
        return await self._change_template(
            vm,
            lambda spec: add_volume(_KIND, vm.metadata.name, spec, options),
            dry_run="All" in (options.get("dryRun") or []),
        )

    async def _remove_volume(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        body = await request.read()
        name = check_remove_volume(body)
        return await self._change_template(
            vm,
            lambda spec: remove_volume(_KIND, vm.metadata.name, spec, name),
            dry_run="All" in (decode_options(body, dict).get("dryRun") or []),
        )

    async def _change_template(self, vm: VirtualMachine, change: Change, *, dry_run: bool) -> web.StreamResponse:
        def patch(raw: dict[str, Any]) -> dict[str, Any]:
            return {"spec": {"template": {"spec": change(raw["spec"]["template"].get("spec") or {})}}}

        await change_object(self._client, VIRTUAL_MACHINES, vm.metadata, patch, dry_run=dry_run)
        return web.Response(status=202)

    async def _memory_dump(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        body = decode_options(await request.read(), dict)
        claim_name = claim_of_request(vm, str(body.get("claimName") or ""))
        vmi = await self._must_have_instance(vm)
        if vmi.status.phase != "Running":
            raise conflict("virtualmachineinstance", vm.metadata.name, "VMI is not running")
        try:
            claim = await self._client.get(PERSISTENT_VOLUME_CLAIMS, claim_name, vm.metadata.namespace)
        except NotFound:
            raise not_found("persistentvolumeclaim", claim_name) from None
        memory = vmi.status.memory.guest_current if vmi.status.memory is not None else None
        check_claim(claim, to_bytes(memory) if memory is not None else 0)
        return await self._request_dump(vm, request_of(claim_name), body)

    async def _remove_memory_dump(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        check_removal(vm)
        return await self._request_dump(vm, request_of_removal(), decode_options(await request.read(), dict))

    async def _request_dump(
        self, vm: VirtualMachine, status: dict[str, Any], body: dict[str, Any]
    ) -> web.StreamResponse:
        """Into the machine's status, as long as it is what was checked."""
        if "All" not in (body.get("dryRun") or []):
            version = {"resourceVersion": vm.metadata.resource_version}
            patch = Patch.merge({"metadata": version, "status": status})
            name, namespace = vm.metadata.name, vm.metadata.namespace
            await self._client.patch(VIRTUAL_MACHINES, name, patch, namespace, subresource="status")
        return web.Response(status=202)

    async def _object_graph(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        options: ObjectGraphOptions = decode_options(await request.read(), ObjectGraphOptions)
        pod = await self._instances.launcher_pod(vm.metadata.namespace, vm.metadata.name)
        return json_answer(machine_graph(vm, pod, options))

    async def _cancel_evacuation(self, request: web.Request, vm: VirtualMachine, rest: str) -> web.StreamResponse:
        vmi = await self.instance(vm)
        if vmi is None:
            raise conflict(_KIND, vm.metadata.name, "VMI is not started")
        return await self._instances.cancel_evacuation(request, vmi, rest)

    async def instance(self, vm: VirtualMachine) -> VirtualMachineInstance | None:
        """The machine's instance, as the API server has it now."""
        try:
            return await self._client.get(VIRTUAL_MACHINE_INSTANCES, vm.metadata.name, vm.metadata.namespace)
        except NotFound:
            return None

    async def _must_have_instance(self, vm: VirtualMachine) -> VirtualMachineInstance:
        vmi = await self.instance(vm)
        if vmi is None:
            raise not_found("virtualmachineinstance", vm.metadata.name)
        return vmi


def decode_machine(body: bytes) -> dict[str, Any]:
    """The VirtualMachine in a request's body."""
    raw: dict[str, Any] = decode_options(body, dict)
    try:
        msgspec.convert(raw, VirtualMachine)
    except msgspec.ValidationError as error:
        raise bad_request(f"Can not unmarshal Request body to struct, error: {error}") from error
    return raw
