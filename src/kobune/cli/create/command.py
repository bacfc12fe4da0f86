"""`kobune create vm|instancetype|preference|clone`: prints YAML for kubectl.

Owns: flags, reading files that flags name, printing. Must not: speak to a server.
"""

from pathlib import Path
from typing import Any

import click
import yaml

from kobune.cli.create.clone import CloneRequest, clone_manifest
from kobune.cli.create.fields import random_suffix
from kobune.cli.create.machine import MachineRequest, machine_manifest, warnings
from kobune.cli.create.sizes import instancetype_manifest, preference_manifest
from kobune.cli.session import Session
from kobune.cli.verb import CONTEXT, VerbGroup, choice, examples, verb

__all__ = ["create"]

SHOWS = {"api_namespace": "Namespace to write into the manifest."}
RUN_STRATEGIES = ("Always", "Halted", "Manual", "RerunOnFailure", "Once", "WaitAsReceiver")


@click.group(
    "create",
    cls=VerbGroup,
    context_settings=CONTEXT,
    epilog=examples(("Make a machine and start it", "kobune create vm --name demo | kubectl apply -f -")),
)
def create() -> None:
    """Print a manifest: VirtualMachine, instancetype, preference or clone."""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _print(manifest: dict[str, Any]) -> None:
    click.echo(yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=1000), nl=False)


def _name(given: str, word: str) -> str:
    return given or f"{word}-{random_suffix()}"


def _namespace() -> str:
    """The one that the command line names, to be written into the manifest."""
    return Session.current().given_namespace


def _text_of(option: str, value: str) -> str:
    """`@FILE` is the file's content, anything else is meant as it is."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{option}: cannot read {value[1:]}: {error}") from error


@verb(
    "vm",
    (
        "From a container disk, with a login",
        "kobune create vm --name demo --memory 128Mi --volume-containerdisk src:kobune/demo --user kobune "
        '--ssh-key "$(cat ~/.ssh/id_ed25519.pub)" | kubectl apply -f -',
    ),
    (
        "Sized by name, with a disk of its own that is filled over HTTP",
        "kobune create vm --instancetype u1.medium --preference fedora "
        "--volume-import type:http,url:https://example.com/disk.qcow2,size:10Gi",
    ),
    ("With a whole cloud-config", "kobune create vm --name demo --cloud-init-user-data @user-data.yaml"),
    shows=SHOWS,
)
@click.option("--name", default="", help="Name of the VM; default: a random one.")
@click.option(
    "--run-strategy",
    **choice(*RUN_STRATEGIES),
    default="Always",
    show_default=True,
    help="When it runs.",
)
@click.option(
    "--termination-grace-period",
    type=click.IntRange(min=0),
    default=180,
    show_default=True,
    help="Seconds that the guest has to shut down.",
)
@click.option("--memory", default="", help="Memory of the guest; default: 512Mi without an instancetype.")
@click.option("--instancetype", default="", metavar="[KIND/]NAME", help="Instancetype; default kind: the cluster's.")
@click.option(
    "--infer-instancetype/--no-infer-instancetype", default=None, help="Take it from the boot volume's labels."
)
@click.option("--infer-instancetype-from", default="", metavar="VOLUME", help="Take it from this volume's labels.")
@click.option("--preference", default="", metavar="[KIND/]NAME", help="Preference; default kind: the cluster's.")
@click.option("--infer-preference/--no-infer-preference", default=None, help="Take it from the boot volume's labels.")
@click.option("--infer-preference-from", default="", metavar="VOLUME", help="Take it from this volume's labels.")
@click.option(
    "--volume-containerdisk", multiple=True, metavar="FIELDS", help="src:IMAGE[,name:NAME][,bootorder:N]; repeatable."
)
@click.option(
    "--volume-import",
    multiple=True,
    metavar="FIELDS",
    help="type:KIND with what that needs: url:URL and size:SIZE for http, s3, gcs, registry, imageio and vddk; "
    "src:NAMESPACE/NAME for pvc, snapshot and ds (a DataSource); size:SIZE for blank. Also name, bootorder, "
    "storageclass, secretref and certconfigmap; repeatable.",
)
@click.option("--volume-pvc", multiple=True, metavar="FIELDS", help="src:NAME[,name:NAME][,bootorder:N]; repeatable.")
@click.option("--volume-sysprep", default="", metavar="FIELDS", help="src:NAME[,type:configMap|secret].")
@click.option(
    "--cloud-init",
    **choice("noCloud", "configDrive", "none"),
    help="How the guest gets user data; default: noCloud, where there is any.",
)
@click.option("--cloud-init-user-data", default="", metavar="DATA", help="Base64, text beginning with #, or @FILE.")
@click.option("--cloud-init-network-data", default="", metavar="DATA", help="Base64, YAML text, or @FILE.")
@click.option("--user", default="", help="User that cloud-init sets up.")
@click.option("--password-file", type=click.Path(exists=True, dir_okay=False), help="File with that user's password.")
@click.option("--ssh-key", multiple=True, metavar="KEY", help="Public key that may log in; repeatable.")
@click.option(
    "--ga-manage-ssh/--no-ga-manage-ssh", default=None, help="Let SELinux allow the guest agent to change SSH keys."
)
@click.option(
    "--access-cred",
    multiple=True,
    metavar="FIELDS",
    help="src:SECRET[,type:ssh|password][,method:ga|noCloud|configDrive][,user:USER]; repeatable.",
)
@click.option("--volume-datasource", multiple=True, hidden=True, help="As --volume-import type:ds.")
@click.option("--volume-clone-pvc", multiple=True, hidden=True, help="As --volume-import type:pvc.")
@click.option("--volume-blank", multiple=True, hidden=True, help="As --volume-import type:blank.")
def vm(**options: Any) -> None:
    """Print the manifest of a VirtualMachine.

    Without bootorder, container disks are booted first, then claims, then imports in their order.
    """
    for flag in ("volume_datasource", "volume_clone_pvc", "volume_blank"):
        if options[flag]:
            name = flag.replace("_", "-")
            click.echo(f"Warning: --{name} is deprecated: write --volume-import with a type", err=True)
    request = MachineRequest(
        name=_name(options["name"], "vm"),
        namespace=_namespace(),
        run_strategy=options["run_strategy"],
        grace_period_s=options["termination_grace_period"],
        memory=options["memory"],
        instancetype=options["instancetype"],
        infer_instancetype=options["infer_instancetype"],
        infer_instancetype_from=options["infer_instancetype_from"],
        preference=options["preference"],
        infer_preference=options["infer_preference"],
        infer_preference_from=options["infer_preference_from"],
        container_disks=options["volume_containerdisk"],
        claims=options["volume_pvc"],
        imports=(
            *(f"type:ds,{text}" for text in options["volume_datasource"]),
            *(f"type:pvc,{text}" for text in options["volume_clone_pvc"]),
            *(f"type:blank,{text}" for text in options["volume_blank"]),
            *options["volume_import"],
        ),
        sysprep=options["volume_sysprep"],
        cloud_init=options["cloud_init"] or "",
        user_data=_text_of("--cloud-init-user-data", options["cloud_init_user_data"]),
        network_data=_text_of("--cloud-init-network-data", options["cloud_init_network_data"]),
        user=options["user"],
        password=_text_of("--password-file", f"@{options['password_file']}").strip()
        if options["password_file"]
        else "",
        ssh_keys=tuple(key.strip() for text in options["ssh_key"] for key in text.split(",") if key.strip()),
        agent_manages_ssh=options["ga_manage_ssh"],
        access_credentials=options["access_cred"],
    )
    manifest = machine_manifest(request)
    for text in warnings(request):
        click.echo(f"Warning: {text}", err=True)
    _print(manifest)


@verb(
    "instancetype",
    ("Two vCPUs and 4 GiB, for the whole cluster", "kobune create instancetype --name small --cpu 2 --memory 4Gi"),
    ("For one namespace", "kobune create instancetype --namespaced --name small --cpu 2 --memory 4Gi"),
    shows=SHOWS,
)
@click.option("--name", default="", help="Name; default: a random one.")
@click.option("--cpu", type=int, required=True, help="Number of vCPUs.")
@click.option("--memory", required=True, help="Memory of the guest, such as 4Gi.")
@click.option(
    "--namespaced",
    is_flag=True,
    help="A VirtualMachineInstancetype instead of the cluster's kind, as with --namespace.",
)
@click.option("--gpu", multiple=True, metavar="FIELDS", help="name:NAME,devicename:RESOURCE; repeatable.")
@click.option("--hostdevice", multiple=True, metavar="FIELDS", help="name:NAME,devicename:RESOURCE; repeatable.")
@click.option(
    "--iothreadspolicy", type=click.Choice(["auto", "shared", "supplementalPool"]), help="Threads of the disks."
)
def instancetype(**options: Any) -> None:
    """Print the manifest of an instancetype."""
    namespaced = options["namespaced"] or bool(_namespace())
    _print(
        instancetype_manifest(
            _name(options["name"], "instancetype" if namespaced else "clusterinstancetype"),
            options["cpu"],
            options["memory"],
            namespaced=namespaced,
            gpus=options["gpu"],
            host_devices=options["hostdevice"],
            io_threads_policy=options["iothreadspolicy"] or "",
            namespace=_namespace(),
        )
    )


@verb(
    "preference",
    (
        "Spread vCPUs over cores and use a storage class",
        "kobune create preference --name fast --cpu-topology cores --volume-storage-class local",
    ),
    shows=SHOWS,
)
@click.option("--name", default="", help="Name; default: a random one.")
@click.option(
    "--namespaced", is_flag=True, help="A VirtualMachinePreference instead of the cluster's kind, as with --namespace."
)
@click.option("--volume-storage-class", default="", help="Storage class of volumes that name none.")
@click.option("--machine-type", default="", help="Machine type, such as q35.")
@click.option(
    "--cpu-topology",
    type=click.Choice(["sockets", "cores", "threads", "spread", "any"]),
    help="Where the vCPUs of an instancetype go.",
)
def preference(**options: Any) -> None:
    """Print the manifest of a preference."""
    namespaced = options["namespaced"] or bool(_namespace())
    _print(
        preference_manifest(
            _name(options["name"], "preference" if namespaced else "clusterpreference"),
            namespaced=namespaced,
            storage_class=options["volume_storage_class"],
            machine_type=options["machine_type"],
            cpu_topology=options["cpu_topology"] or "",
            namespace=_namespace(),
        )
    )


@verb(
    "clone",
    ("A second machine like demo", "kobune create clone --source-name demo --target-name demo2 | kubectl create -f -"),
    ("From a snapshot", "kobune create clone --source-type snapshot --source-name before --target-name demo2"),
    shows=SHOWS,
)
@click.option("--name", default="", help="Name of the clone object; default: a random one.")
@click.option("--source-name", required=True, help="Name of what is cloned.")
@click.option("--source-type", default="vm", show_default=True, help="vm or snapshot.")
@click.option("--target-name", default="", help="Name of the new VM; default: the server's choice.")
@click.option("--target-type", default="vm", show_default=True, help="vm.")
@click.option("--label-filter", multiple=True, help="Labels to take over, such as '*' or '!some/key'; repeatable.")
@click.option("--annotation-filter", multiple=True, help="Annotations to take over; repeatable.")
@click.option("--template-label-filter", multiple=True, help="Labels of the template to take over; repeatable.")
@click.option("--template-annotation-filter", multiple=True, help="Annotations of the template; repeatable.")
@click.option("--new-mac-address", multiple=True, metavar="INTERFACE:ADDRESS", help="New MAC address; repeatable.")
@click.option("--new-smbios-serial", default="", help="Serial number of the new machine.")
def clone(**options: Any) -> None:
    """Print the manifest of a clone: a VM like another one."""
    _print(
        clone_manifest(
            CloneRequest(
                name=_name(options["name"], "clone"),
                namespace=_namespace(),
                source=(options["source_type"], options["source_name"]),
                target=(options["target_type"], options["target_name"]),
                labels=options["label_filter"],
                annotations=options["annotation_filter"],
                template_labels=options["template_label_filter"],
                template_annotations=options["template_annotation_filter"],
                mac_addresses=options["new_mac_address"],
                serial=options["new_smbios_serial"],
            )
        )
    )


for _command in (vm, instancetype, preference, clone):
    create.add_command(_command)
