"""Pods that nobody else will ever end: of nodes that are gone, or deleted before they had a node."""
