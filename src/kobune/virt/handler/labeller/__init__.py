"""What this node can offer to guests, as labels of its Node (names are KubeVirt's)."""
