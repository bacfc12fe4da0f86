"""The manifest of a VirtualMachine from the flags of `create vm`. Pure: files are read by the caller."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import yaml

from kobune.cli.create.disks import Disks, add_claim, add_container_disk, add_import, add_sysprep
from kobune.cli.create.fields import check_quantity, parse_fields, random_suffix

__all__ = ["MachineRequest", "machine_manifest", "warnings"]

Document = dict[str, Any]

_MATCHER_KINDS = {
    "instancetype": ("VirtualMachineInstancetype", "VirtualMachineClusterInstancetype"),
    "preference": ("VirtualMachinePreference", "VirtualMachineClusterPreference"),
}


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """What was asked for; an empty field was not. `memory` is a quantity; `grace_period_s` is the guest's to shut
    down."""

    name: str
    run_strategy: str = "Always"
    grace_period_s: int = 180
    memory: str = ""
    instancetype: str = ""
    infer_instancetype: bool | None = None
    infer_instancetype_from: str = ""
    preference: str = ""
    infer_preference: bool | None = None
    infer_preference_from: str = ""
    container_disks: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    sysprep: str = ""
    cloud_init: str = ""
    """noCloud, which is the default, configDrive or none."""
    user_data: str = ""
    network_data: str = ""
    user: str = ""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    agent_manages_ssh: bool | None = None
    access_credentials: tuple[str, ...] = ()
    namespace: str = ""
    suffix: Callable[[], str] = random_suffix
    """Ends of names that have to be made up."""

    @property
    def has_login(self) -> bool:
        """Whether a user, a password or keys are asked for."""
        return bool(self.user or self.password or self.ssh_keys or self.agent_manages_ssh)


def warnings(request: MachineRequest) -> list[str]:
    """What to tell beside the manifest."""
    told = []
    if request.password:
        told.append("--password-file: the manifest holds the password as plain text")
    if request.cloud_init == "none" and (request.has_login or request.user_data or request.network_data):
        told.append("--cloud-init none: users, keys and data for cloud-init are left out")
    return told


def machine_manifest(request: MachineRequest) -> Document:
    """The VirtualMachine. Raises UsageError for flags that contradict each other."""
    _check_sizes(request)
    disks = Disks(request.name, request.suffix)
    # Without a boot order the guest boots from what comes first.
    for number, text in enumerate(request.container_disks):
        add_container_disk(disks, number, text)
    for text in request.claims:
        add_claim(disks, text)
    for text in request.imports:
        add_import(disks, text)
    if request.sysprep:
        add_sysprep(disks, request.sysprep)
    credentials = [_credential(request, text) for text in request.access_credentials]
    _cloud_init(disks, request, credentials)
    spec: Document = {"runStrategy": request.run_strategy}
    instancetype = _matcher("instancetype", request.instancetype, request.infer_instancetype_from, disks)
    preference = _matcher("preference", request.preference, request.infer_preference_from, disks)
    # Of a volume with a system on it both are guessed; guessing wrong is no failure unless it was asked for.
    if instancetype is None and not request.memory and request.infer_instancetype is not False:
        instancetype = _inferred("instancetype", disks, asked=request.infer_instancetype is True)
    if preference is None and request.infer_preference is not False:
        preference = _inferred("preference", disks, asked=request.infer_preference is True)
    if instancetype is not None:
        spec["instancetype"] = instancetype
    if preference is not None:
        spec["preference"] = preference
    else:
        disks.prefer_virtio()
    if disks.templates:
        spec["dataVolumeTemplates"] = disks.templates
    domain: Document = {"devices": {"disks": disks.disks} if disks.disks else {}, "resources": {}}
    sized_by_name = instancetype is not None and "inferFromVolumeFailurePolicy" not in instancetype
    if not sized_by_name:
        # An ignored inference leaves the machine to this.
        domain["memory"] = {"guest": check_quantity("--memory", request.memory or "512Mi")}
    template: Document = {"domain": domain, "terminationGracePeriodSeconds": request.grace_period_s}
    if credentials:
        template["accessCredentials"] = credentials
    if disks.volumes:
        template["volumes"] = disks.volumes
    spec["template"] = {"metadata": {}, "spec": template}
    metadata = {"name": request.name, **({"namespace": request.namespace} if request.namespace else {})}
    return {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": metadata, "spec": spec}


def _check_sizes(request: MachineRequest) -> None:
    """Memory, instancetype and preference are said once. Raises UsageError."""
    by_type = {
        "--memory": request.memory,
        "--instancetype": request.instancetype,
        "--infer-instancetype": request.infer_instancetype,
        "--infer-instancetype-from": request.infer_instancetype_from,
    }
    by_preference = {
        "--preference": request.preference,
        "--infer-preference": request.infer_preference,
        "--infer-preference-from": request.infer_preference_from,
    }
    for options in (by_type, by_preference):
        given = [option for option, value in options.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} exclude each other: each says what the machine is to have")


def _matcher(what: str, text: str, volume: str, disks: Disks) -> Document | None:
    """`NAME` or `KIND/NAME`; a bare name is one of the cluster's."""
    if volume:
        return {"inferFromVolume": disks.to_infer_from(f"--infer-{what}-from", volume)}
    if not text:
        return None
    kind, slash, name = text.rpartition("/")
    if not slash:
        return {"name": name}
    for full in _MATCHER_KINDS[what]:
        if kind.lower() == full.lower():
            return {"kind": full, "name": name}
    raise click.UsageError(f"--{what} {text!r}: the kind is {' or '.join(_MATCHER_KINDS[what])}")


def _inferred(what: str, disks: Disks, *, asked: bool) -> Document | None:
    try:
        volume = disks.to_infer_from(f"--infer-{what}")
    except click.UsageError:
        if asked:
            raise
        return None
    return {"inferFromVolume": volume, **({} if asked else {"inferFromVolumeFailurePolicy": "Ignore"})}


def _credential(request: MachineRequest, text: str) -> Document:
    """`src:SECRET[,type:ssh|password][,method:ga|noCloud|configDrive][,user:USER]`: keys or passwords of a Secret."""
    option = "--access-cred"
    fields = parse_fields(option, text, ("type", "src", "method", "user"), ("src",))
    kind, method = fields.get("type", "ssh").lower(), fields.get("method", "ga").lower()
    if kind not in ("ssh", "password"):
        raise click.UsageError(f"{option}: type is ssh or password, not {fields['type']!r}")
    methods = {"ga": "qemuGuestAgent", "nocloud": "noCloud", "configdrive": "configDrive"}
    if method not in methods or (kind == "password" and method != "ga"):
        allowed = "ga" if kind == "password" else "ga, noCloud or configDrive"
        raise click.UsageError(f"{option}: method of type {kind} is {allowed}, not {fields.get('method', 'ga')!r}")
    source = {"source": {"secret": {"secretName": fields["src"]}}}
    if kind == "password":
        if "user" in fields:
            raise click.UsageError(f"{option}: a Secret of passwords names its users; leave user out")
        return {"userPassword": {**source, "propagationMethod": {"qemuGuestAgent": {}}}}
    user = fields.get("user") or request.user
    if method != "ga":
        if "user" in fields:
            raise click.UsageError(f"{option}: user goes with method ga only")
        return {"sshPublicKey": {**source, "propagationMethod": {methods[method]: {}}}}
    if not user:
        raise click.UsageError(f"{option}: add user:USER, or --user")
    return {"sshPublicKey": {**source, "propagationMethod": {"qemuGuestAgent": {"users": [user]}}}}


def _cloud_init(disks: Disks, request: MachineRequest, credentials: list[Document]) -> None:
    methods = [item["sshPublicKey"]["propagationMethod"] for item in credentials if "sshPublicKey" in item]
    by_disk = sorted({key for method in methods for key in method if key != "qemuGuestAgent"})
    wanted = request.cloud_init or (by_disk[0] if by_disk else "noCloud")
    if any(method != wanted for method in by_disk):
        raise click.UsageError(f"--access-cred with method {by_disk[0]} needs --cloud-init {by_disk[0]}, not {wanted}")
    if wanted == "none":
        return
    if request.has_login and request.user_data:
        raise click.UsageError(
            "--cloud-init-user-data excludes --user, --password-file, --ssh-key and --ga-manage-ssh: put them into it"
        )
    # Where the guest enforces SELinux, the agent may not change keys unless it is told so.
    agent = any("qemuGuestAgent" in method for method in methods) and not request.user_data
    manages = agent if request.agent_manages_ssh is None else request.agent_manages_ssh
    asked = request.cloud_init or request.has_login or manages or by_disk
    if not (asked or request.user_data or request.network_data):
        return
    source: Document = {}
    if request.user_data:
        # Base64 as virtctl wants it, or the text itself.
        source["userData" if request.user_data.startswith("#") else "userDataBase64"] = request.user_data
    else:
        source["userData"] = _cloud_config(request, manages)
    if request.network_data:
        readable = any(sign in request.network_data for sign in (":", "\n"))
        source["networkData" if readable else "networkDataBase64"] = request.network_data
    kind = {"noCloud": "cloudInitNoCloud", "configDrive": "cloudInitConfigDrive"}[wanted]
    disks.add("--cloud-init", "cloudinitdisk", {kind: source}, None)


def _cloud_config(request: MachineRequest, agent_manages_ssh: bool) -> str:
    config: Document = {}
    if request.user:
        config["user"] = request.user
    if request.password:
        config |= {"password": request.password, "chpasswd": {"expire": False}}
    if request.ssh_keys:
        config["ssh_authorized_keys"] = list(request.ssh_keys)
    if agent_manages_ssh:
        config["runcmd"] = [["setsebool", "-P", "virt_qemu_ga_manage_ssh", "on"]]
    if not config:
        return "#cloud-config"
    return "#cloud-config\n" + yaml.safe_dump(config, sort_keys=False, width=1000)
