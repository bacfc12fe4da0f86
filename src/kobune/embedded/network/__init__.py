"""What a node needs so that pods find each other: Services by nftables, names by dnsmasq."""
