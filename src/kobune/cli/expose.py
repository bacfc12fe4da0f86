"""`kobune expose`: a Service that leads to the pods of a machine."""

import json
from typing import Any, Final

import click

from kobune.cli.session import Session, command
from kobune.cli.verb import choice, verb

__all__ = ["expose", "service_for"]

NAME_LABEL: Final = "vm.kubevirt.io/name"
"""On every launcher pod: the machine's name."""

KINDS: Final = {
    word: (plural, kind)
    for short, kind in (
        ("vm", "VirtualMachine"),
        ("vmi", "VirtualMachineInstance"),
        ("vmirs", "VirtualMachineInstanceReplicaSet"),
    )
    for plural in (f"{kind.lower()}s",)
    for word in (short, f"{short}s", kind.lower(), plural)
}

Document = dict[str, Any]


def service_for(
    owner: Document,
    name: str,
    *,
    port: int | None,
    target_port: str = "",
    port_name: str = "",
    node_port: int | None = None,
    protocol: str = "TCP",
    kind: str = "ClusterIP",
    labels: dict[str, str] | None = None,
    more: Document | None = None,
) -> Document:
    """The Service for a machine, an instance or a replica set (as decoded JSON). Raises ClickException. Pure."""
    ports: list[Document]
    if port is not None:
        entry: Document = {"port": port, "protocol": protocol}
        if target_port:
            entry["targetPort"] = int(target_port) if target_port.isdigit() else target_port
        if port_name:
            entry["name"] = port_name
        if node_port is not None:
            entry["nodePort"] = node_port
        ports = [entry]
    else:
        ports = _declared_ports(owner)
        if not ports:
            raise click.ClickException(
                "couldn't find port via --port flag or introspection: the machine's interfaces list no ports; "
                "give --port, such as --port 22"
            )
    metadata: Document = {"name": name, "namespace": owner["metadata"]["namespace"]}
    if labels:
        metadata["labels"] = labels
    spec = {"type": kind, "selector": _selector(owner), "ports": ports, **(more or {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _selector(owner: Document) -> dict[str, str]:
    if owner["kind"] != "VirtualMachineInstanceReplicaSet":
        return {NAME_LABEL: owner["metadata"]["name"]}
    selector = owner["spec"].get("selector") or {}
    if selector.get("matchExpressions"):
        raise click.ClickException(
            "cannot expose VirtualMachineInstanceReplicaSets with match expressions: a Service selects by labels only"
        )
    found: dict[str, str] = selector.get("matchLabels") or {}
    if not found:
        raise click.ClickException("the replica set selects no labels: add spec.selector.matchLabels")
    return found


def _declared_ports(owner: Document) -> list[Document]:
    """The ports that the interfaces list; several need names, so unnamed ones get port-N."""
    spec = owner.get("spec") or {}
    if owner["kind"] != "VirtualMachineInstance":
        spec = (spec.get("template") or {}).get("spec") or {}
    interfaces = ((spec.get("domain") or {}).get("devices") or {}).get("interfaces") or []
    # A Service leads to the pod network only.
    pod_network = next((item["name"] for item in spec.get("networks") or [] if item.get("pod") is not None), None)
    declared = [
        port for interface in interfaces if interface["name"] == pod_network for port in interface.get("ports") or []
    ]
    return [
        {
            "name": port.get("name") or f"port-{number}",
            "port": port["port"],
            "protocol": port.get("protocol") or "TCP",
            "targetPort": port["port"],
        }
        for number, port in enumerate(declared, 1)
    ]


def _families(text: str) -> list[str]:
    names = {"ipv4": "IPv4", "ipv6": "IPv6"}
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if len(set(words)) != len(words) or not names.keys() >= set(words):
        raise click.UsageError(f"--ip-family {text!r}: write IPv4, IPv6, or both with a comma")
    return [names[word] for word in words]


def _labels(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part]
    if any(not key or not separator for key, separator, _ in pairs):
        raise click.UsageError(f"--labels {text!r}: write KEY=VALUE,KEY=VALUE")
    return {key: value for key, _, value in pairs}


@verb(
    "expose",
    ("Reach demo's SSH server inside the cluster as demo-ssh:22", "kobune expose vm demo --name demo-ssh --port 22"),
    (
        "Reach its web server on every node",
        "kobune expose vm demo --name web --type NodePort --port 80 --target-port 8080",
    ),
    ("All instances of a replica set", "kobune expose vmirs web --name web --port 80"),
)
@click.argument("kind", metavar="[vm|vmi|vmirs]")
@click.argument("owner_name", metavar="NAME")
@click.option("--name", required=True, help="Name of the Service.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the Service; default: those of the interfaces.")
@click.option("--target-port", default="", help="Port of the guest; default: that of the Service.")
@click.option("--port-name", default="", help="Name of the port.")
@click.option("--node-port", type=click.IntRange(1, 65535), help="Port of the nodes, for --type NodePort.")
@click.option(
    "--protocol",
    **choice("TCP", "UDP"),
    default="TCP",
    show_default=True,
    help="Protocol.",
)
@click.option(
    "--type",
    "service_type",
    **choice("ClusterIP", "NodePort", "LoadBalancer"),
    default="ClusterIP",
    show_default=True,
    help="Type of the Service.",
)
@click.option("--cluster-ip", default="", help="Address of the Service; None makes it headless.")
@click.option("--external-ip", multiple=True, help="Further addresses that lead to it.")
@click.option("--load-balancer-ip", default="", help="Address to ask the load balancer for.")
@click.option("--ip-family", default="", help="IPv4, IPv6 or both with a comma.")
@click.option(
    "--ip-family-policy",
    **choice("SingleStack", "PreferDualStack", "RequireDualStack"),
    help="How many families; default: PreferDualStack for two, else the server's.",
)
@click.option(
    "--session-affinity",
    **choice("None", "ClientIP"),
    help="Whether a client stays with one guest.",
)
@click.option("--labels", default="", help="Labels of the Service: KEY=VALUE,KEY=VALUE.")
@command
async def expose(session: Session, /, kind: str, owner_name: str, name: str, **options: Any) -> None:
    """Create a Service that leads to a virtual machine."""
    if kind.lower() not in KINDS:
        raise click.UsageError(f"{kind!r} cannot be exposed: use vm, vmi or vmirs")
    plural, kind_name = KINDS[kind.lower()]
    families = _families(options["ip_family"])
    more: Document = {
        "clusterIP": options["cluster_ip"],
        "externalIPs": list(options["external_ip"]),
        "loadBalancerIP": options["load_balancer_ip"],
        "ipFamilies": families,
        "ipFamilyPolicy": options["ip_family_policy"] or ("PreferDualStack" if len(families) > 1 else None),
        "sessionAffinity": options["session_affinity"],
    }
    async with session.open() as (client, namespace):
        path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/{plural}/{owner_name}"
        owner = {**json.loads(await client.raw("GET", path)), "kind": kind_name}
        service = service_for(
            owner,
            name,
            port=options["port"],
            target_port=options["target_port"],
            port_name=options["port_name"],
            node_port=options["node_port"],
            protocol=options["protocol"],
            kind=options["service_type"],
            labels=_labels(options["labels"]),
            more={key: value for key, value in more.items() if value},
        )
        await client.raw("POST", f"/api/v1/namespaces/{namespace}/services", body=json.dumps(service).encode())
    click.echo(f"Service {name} successfully created for {kind} {owner_name}")
