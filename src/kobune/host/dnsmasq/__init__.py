"""DHCP servers for guests: one dnsmasq per pod network namespace, outliving whoever started it.

Owns the processes: started in a session of their own, found again by the configuration path on their command line (no
pid file that could be stale or missing), watched through pidfds, stopped by name. What they offer is `DhcpConfig`.
"""

from kobune.host.dnsmasq.config import DhcpConfig, Lease, render
from kobune.host.dnsmasq.server import DhcpServers, Dnsmasq, DnsmasqFailed

__all__ = ["DhcpConfig", "DhcpServers", "Dnsmasq", "DnsmasqFailed", "Lease", "render"]
