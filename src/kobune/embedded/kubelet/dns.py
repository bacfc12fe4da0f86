"""resolv.conf of a pod: from its DNS policy, the cluster's and the node's. Pure but for reading the node's file.

Source: core/v1 PodSpec.dnsPolicy and dnsConfig.
"""

from pathlib import Path

from kobune.api.core import Pod
from kobune.embedded.kubelet.render import DnsConfig

__all__ = ["parse_resolv_conf", "pod_dns", "read_host_dns"]

MAX_SERVERS = 3
CLUSTER_OPTIONS = ("ndots:5",)


def pod_dns(pod: Pod, cluster: DnsConfig, host: DnsConfig) -> DnsConfig:
    """ClusterFirst falls back to the node's configuration where the cluster has no DNS server."""
    policy = pod.spec.dns_policy or "ClusterFirst"
    if policy == "None":
        base = DnsConfig()
    elif policy == "Default" or not cluster.servers or (policy == "ClusterFirst" and pod.spec.host_network):
        base = host
    else:
        domains = tuple(cluster.searches) or ("cluster.local",)
        own = tuple(
            f"{prefix}{domain}" for domain in domains for prefix in (f"{pod.metadata.namespace}.svc.", "svc.", "")
        )
        base = DnsConfig(cluster.servers, own + host.searches, CLUSTER_OPTIONS)
    extra = pod.spec.dns_config
    if extra is None:
        return DnsConfig(base.servers[:MAX_SERVERS], base.searches, base.options)
    options = {option.partition(":")[0]: option for option in base.options}
    for option in extra.options:
        options[option.name] = option.name if option.value is None else f"{option.name}:{option.value}"
    return DnsConfig(
        tuple(dict.fromkeys([*base.servers, *extra.nameservers]))[:MAX_SERVERS],
        tuple(dict.fromkeys([*base.searches, *extra.searches])),
        tuple(options.values()),
    )


def parse_resolv_conf(text: str) -> DnsConfig:
    """resolv.conf(5): the last `search` or `domain` line counts."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(words[1:])
        elif words[0] == "options":
            options += words[1:]
    return DnsConfig(tuple(servers), searches, tuple(options))


def read_host_dns(path: Path = Path("/etc/resolv.conf")) -> DnsConfig:
    """The node's own; empty when it has none."""
    try:
        return parse_resolv_conf(path.read_text())
    except OSError:
        return DnsConfig()
