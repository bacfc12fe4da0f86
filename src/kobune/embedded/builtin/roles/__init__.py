"""Cluster roles that are made of others, selected by label."""
