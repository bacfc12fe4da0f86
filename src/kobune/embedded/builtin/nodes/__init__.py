"""Nodes whose kubelet is silent, and taints that follow a node's conditions."""
