"""The webhooks: one function per path, from a question to a verdict.

Owns: which defaults and checks apply to which kind and operation. I/O is limited to what the two ports `gates` and
`migrations` give; everything else is pure.
"""

import uuid
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from kobune.api.instancetype import VirtualMachinePreferenceSpec
from kobune.api.kubevirt import (
    KubeVirt,
    PreferenceMatcher,
    VirtualMachine,
    VirtualMachineInstance,
    VirtualMachineInstanceMigration,
    VirtualMachineInstancePreset,
    VirtualMachineInstanceReplicaSet,
    VirtualMachineInstanceTemplateSpec,
    VirtualMachineSpec,
)
from kobune.api.pool import VirtualMachinePool
from kobune.api.snapshot import VirtualMachineRestore
from kobune.virt.admission.defaults.infer import CannotInfer, infer
from kobune.virt.admission.defaults.instance import default_instance
from kobune.virt.admission.defaults.machine import check_matcher_update, check_matchers, default_machine
from kobune.virt.admission.defaults.presets import PresetConflict, apply_presets
from kobune.virt.admission.eviction import instance_of, judge_eviction
from kobune.virt.admission.plain import PLAIN_WEBHOOKS, Webhook, frozen_spec
from kobune.virt.admission.review import AdmissionRequest, Problem, Verdict
from kobune.virt.admission.schema import Unreadable, complete
from kobune.virt.admission.sizes import Sizes
from kobune.virt.admission.validation.copies import check_restore, check_restore_patches, in_progress
from kobune.virt.admission.validation.groups import check_pool
from kobune.virt.admission.validation.instance import check_instance, check_instance_update
from kobune.virt.admission.validation.machine import check_busy, check_machine, machine_warnings
from kobune.virt.admission.validation.others import check_migration, check_migration_update, check_replica_set

__all__ = ["Lookups", "Webhook", "Webhooks"]

T = TypeVar("T", bound=msgspec.Struct)

_FINAL_PHASES: Final = ("Succeeded", "Failed")
_MIGRATION_FINALIZER: Final = "kubevirt.io/migrationJobFinalize"
_KUBEVIRT: Final = "kubevirt"
"""Where the KubeVirt resource is; tools that stand in for KubeVirt's components take accounts of it."""
_VMI_NAME_LABEL: Final = "kubevirt.io/vmi-name"
_COMPONENT_ACCOUNTS: Final = (
    "kobune-virt-api",
    "kobune-virt-controller",
    "kobune-virt-handler",
    "kubevirt-apiserver",
    "kubevirt-controller",
    "kubevirt-handler",
)


class Lookups(Protocol):
    """What webhooks have to know of the cluster."""

    def gates(self) -> frozenset[str]:
        """The open feature gates, and NO_BRIDGE_ON_POD_NETWORK where the installation forbids that."""
        ...

    def default_binding(self) -> str:
        """The binding of the interface that a guest gets without asking: bridge or masquerade."""
        ...

    def presets(self, namespace: str) -> Sequence[VirtualMachineInstancePreset]:
        """The presets of a namespace."""
        ...

    async def instance(self, namespace: str, name: str) -> VirtualMachineInstance | None:
        """One instance, as the API server has it now."""
        ...

    async def is_installed(self) -> bool:
        """Whether there is a KubeVirt resource."""
        ...

    async def sizes(self, namespace: str, spec: VirtualMachineSpec) -> Sizes:
        """The instancetype and the preference that a machine's matchers mean, as they are now."""
        ...

    async def find(self, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """A claim, DataVolume, DataSource, pod or VirtualMachineSnapshot."""
        ...

    async def workloads(self) -> str:
        """What of machines there still is in any namespace, in words; empty when there is nothing."""
        ...

    async def mark_for_evacuation(self, vmi: VirtualMachineInstance) -> None:
        """Note in the instance that it is to leave its node."""
        ...

    async def restores(self, namespace: str) -> Sequence[VirtualMachineRestore]:
        """All restores of a namespace."""
        ...

    async def migrations(self, namespace: str, vmi_name: str) -> Sequence[VirtualMachineInstanceMigration]:
        """All migrations of one instance."""
        ...


class Webhooks:
    """Answers admission questions by path."""

    def __init__(self, lookups: Lookups, *, namespace: str) -> None:
        self._lookups = lookups
        self._components = frozenset(f"system:serviceaccount:{namespace}:{name}" for name in _COMPONENT_ACCOUNTS)
        self._tellers = self._components | {f"system:serviceaccount:{_KUBEVIRT}:{name}" for name in _COMPONENT_ACCOUNTS}
        self.paths: dict[str, Webhook] = {
            "/virtualmachines-mutator": self._mutate_machine,
            "/virtualmachineinstances-mutator": self._mutate_instance,
            "/migrations-mutator": self._mutate_migration,
            "/virtualmachine-validator": self._validate_machine,
            "/virtualmachineinstances-create-validator": self._validate_instance,
            "/virtualmachineinstances-update-validator": self._validate_instance_update,
            "/virtualmachinereplicaset-validator": self._validate_replica_set,
            "/migration-create-validator": self._validate_migration,
            "/migration-update-validator": self._validate_migration_update,
            "/virtualmachinepool-validator": self._validate_pool,
            "/vm-clone-mutator": self._mutate_clone,
            "/virtualmachinerestore-validator": self._validate_restore,
            "/kubevirt-create-validator": self._validate_installation,
            "/kubevirt-validator": self._validate_removal,
            "/virt-launcher-eviction-interceptor": self._validate_eviction,
            **PLAIN_WEBHOOKS,
        }

    async def answer(self, path: str, request: AdmissionRequest) -> Verdict:
        """The verdict of the webhook at `path`; what cannot be decoded is refused with 400."""
        try:
            return await self.paths[path](request)
        except (Unreadable, msgspec.ValidationError) as error:
            return Verdict(message=str(error))

    async def _mutate_machine(self, request: AdmissionRequest) -> Verdict:
        if (request.obj.get("metadata") or {}).get("deletionTimestamp"):
            return Verdict()
        obj = _copy(request.obj)
        if problems := complete(VirtualMachine, obj):
            return Verdict(tuple(problems))
        creating = request.operation == "CREATE"
        for refused in (
            check_matcher_update((request.old or {}).get("spec") or {}, obj["spec"]) if not creating else Verdict(),
            check_matchers(obj["spec"]),
        ):
            if not refused.allowed:
                return refused
        try:
            await infer(obj["spec"], request.namespace, self._lookups.find)
        except CannotInfer as error:
            return Verdict(message=str(error))
        default_machine(
            obj,
            new_uuid=uuid.uuid4() if creating else None,
            new_serial=uuid.uuid4() if creating else None,
            preference=await self._preference(request.namespace, obj["spec"]),
        )
        return Verdict(patched={"spec": obj["spec"]})

    async def _preference(self, namespace: str, spec: dict[str, Any]) -> VirtualMachinePreferenceSpec | None:
        """The preference of a machine, None when it has or finds none; what is missing is told at its start."""
        matcher = spec.get("preference")
        if not matcher:
            return None
        only = VirtualMachineSpec(
            template=VirtualMachineInstanceTemplateSpec(), preference=_convert(matcher, PreferenceMatcher)
        )
        return (await self._lookups.sizes(namespace, only)).preference

    async def _mutate_instance(self, request: AdmissionRequest) -> Verdict:
        if request.old is not None:
            return self._keep_status(request.old, request)
        obj = _copy(request.obj)
        if problems := complete(VirtualMachineInstance, obj):
            return Verdict(tuple(problems))
        try:
            apply_presets(obj, self._lookups.presets(request.namespace))
        except PresetConflict as error:
            return Verdict(message=str(error), code=422)
        default_instance(obj, new_uuid=uuid.uuid4(), binding=self._lookups.default_binding())
        return Verdict(patched={name: obj[name] for name in ("metadata", "spec", "status")})

    def _keep_status(self, old: dict[str, Any], request: AdmissionRequest) -> Verdict:
        """An instance has no status subresource: what people write into its status is dropped."""
        told = old.get("status") or {}
        if request.username in self._tellers or (request.obj.get("status") or {}) == told:
            return Verdict()
        return Verdict(patched={"status": told})

    async def _mutate_migration(self, request: AdmissionRequest) -> Verdict:
        obj = _copy(request.obj)
        if problems := complete(VirtualMachineInstanceMigration, obj):
            return Verdict(tuple(problems))
        metadata = obj["metadata"]
        finalizers = metadata.setdefault("finalizers", [])
        if _MIGRATION_FINALIZER not in finalizers:
            finalizers.append(_MIGRATION_FINALIZER)
        if name := obj["spec"].get("vmiName"):
            metadata.setdefault("labels", {})[_VMI_NAME_LABEL] = name
        return Verdict(patched={"metadata": metadata})

    async def _validate_machine(self, request: AdmissionRequest) -> Verdict:
        vm = _convert(request.obj, VirtualMachine)
        warnings = machine_warnings(request.obj, vm)
        if vm.metadata.deletion_timestamp is not None:
            return Verdict()
        old = _convert(request.old, VirtualMachine) if request.old else None
        if old is not None and msgspec.to_builtins(old.spec) == msgspec.to_builtins(vm.spec):
            # What is stored stays manageable: labels, finalizers and the like never fail on an old specification.
            return Verdict(warnings=tuple(warnings))
        sizes = await self._lookups.sizes(request.namespace, vm.spec)
        clashes = sizes.problems(request.obj["spec"]["template"])
        if clashes:
            return Verdict(tuple(clashes))
        expanded = sizes.expand(request.obj)
        if short := sizes.shortage(expanded["spec"]["template"].get("spec") or {}):
            return Verdict((short,))
        checked = _convert(expanded, VirtualMachine)
        problems, found = check_machine(checked, old, version=request.version, gates=self._lookups.gates())
        if not problems and old is not None:
            problems = check_busy(vm, old)
        return Verdict(tuple(problems), (*warnings, *found))

    async def _validate_instance(self, request: AdmissionRequest) -> Verdict:
        vmi = _convert(request.obj, VirtualMachineInstance)
        problems, warnings = check_instance(
            vmi, self._lookups.gates(), by_component=request.username in self._components
        )
        return Verdict(tuple(problems), tuple(warnings))

    async def _validate_instance_update(self, request: AdmissionRequest) -> Verdict:
        old, new = (_convert(item, VirtualMachineInstance) for item in (request.old or {}, request.obj))
        problems = check_instance_update(old, new, by_component=request.username in self._components)
        return Verdict(tuple(problems))

    async def _validate_replica_set(self, request: AdmissionRequest) -> Verdict:
        replica_set = _convert(request.obj, VirtualMachineInstanceReplicaSet)
        problems, warnings = check_replica_set(replica_set, self._lookups.gates())
        return Verdict(tuple(problems), tuple(warnings))

    async def _validate_migration(self, request: AdmissionRequest) -> Verdict:
        migration = _convert(request.obj, VirtualMachineInstanceMigration)
        if problems := check_migration(migration):
            return Verdict(tuple(problems))
        name = migration.spec.vmi_name or ""
        vmi = await self._lookups.instance(request.namespace, name)
        if vmi is None:
            return Verdict(message=f'the VMI "{request.namespace}/{name}" does not exist')
        if vmi.status.phase in _FINAL_PHASES:
            return Verdict(message="Cannot migrate VMI in finalized state.")
        for item in vmi.status.conditions:
            if item.type == "LiveMigratable" and item.status == "False":
                return Verdict(message=f"Cannot migrate VMI, Reason: {item.reason}, Message: {item.message}")
        for other in await self._lookups.migrations(request.namespace, name):
            if other.status.phase not in _FINAL_PHASES and other.metadata.uid != migration.metadata.uid:
                uid = other.metadata.uid
                message = f"Active migration job ({uid}) is currently already in progress for VMI {name}."
                return Verdict(message=f"in-flight migration detected. {message}")
        return Verdict()

    async def _validate_migration_update(self, request: AdmissionRequest) -> Verdict:
        old, new = (_convert(item, VirtualMachineInstanceMigration) for item in (request.old or {}, request.obj))
        found: list[Problem] = check_migration_update(old, new)
        return Verdict(tuple(found))

    async def _validate_restore(self, request: AdmissionRequest) -> Verdict:
        if request.old is not None:
            return frozen_spec(request)
        restore = _convert(request.obj, VirtualMachineRestore)
        problems = check_restore(restore)
        name = restore.spec.virtual_machine_snapshot_name
        if restore.spec.patches and await self._lookups.find("virtualmachinesnapshots", request.namespace, name):
            problems += check_restore_patches(restore)
        return Verdict(tuple(problems + in_progress(restore, await self._lookups.restores(request.namespace))))

    async def _validate_pool(self, request: AdmissionRequest) -> Verdict:
        old = _convert(request.old, VirtualMachinePool) if request.old else None
        problems, warnings = check_pool(_convert(request.obj, VirtualMachinePool), self._lookups.gates(), old)
        return Verdict(tuple(problems), tuple(warnings))

    async def _validate_installation(self, request: AdmissionRequest) -> Verdict:
        if await self._lookups.is_installed():
            return Verdict(message="Kubevirt is already created")
        return Verdict()

    async def _validate_removal(self, request: AdmissionRequest) -> Verdict:
        """An installation goes with machines in it, unless it says that it must not."""
        if request.old is None:
            return Verdict()
        installation = _convert(request.old, KubeVirt)
        guarded = installation.spec.uninstall_strategy not in (None, "", "RemoveWorkloads")
        if not guarded or installation.status.phase != "Deployed":
            return Verdict()
        if left := await self._lookups.workloads():
            return Verdict(
                message=f"Rejecting the uninstall request, since there are still {left} present. Either delete all "
                "KubeVirt related workloads or change the uninstall strategy before uninstalling KubeVirt."
            )
        return Verdict()

    async def _validate_eviction(self, request: AdmissionRequest) -> Verdict:
        pod = await self._lookups.find("pods", request.namespace, request.name)
        name = instance_of(pod)
        if pod is None or not name:
            return Verdict()
        vmi = await self._lookups.instance(request.namespace, name)
        evacuation = judge_eviction(name, pod, vmi)
        if evacuation.mark and vmi is not None and not request.dry_run:
            await self._lookups.mark_for_evacuation(vmi)
        return evacuation.verdict

    async def _mutate_clone(self, request: AdmissionRequest) -> Verdict:
        """Without a target: a machine of a name that is made here."""
        obj = _copy(request.obj)
        spec = obj.get("spec") or {}
        if spec.get("target") is not None or not spec.get("source"):
            return Verdict()
        name = f"clone-{spec['source'].get('name', '')}-{uuid.uuid4().hex[:5]}"
        spec["target"] = {"apiGroup": "kubevirt.io", "kind": "VirtualMachine", "name": name}
        return Verdict(patched={"spec": spec})


def _convert(obj: dict[str, Any], kind: type[T]) -> T:
    return msgspec.convert(obj, kind)


def _copy(obj: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(obj))
    return copied
