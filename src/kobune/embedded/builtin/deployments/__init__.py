"""Deployments: one ReplicaSet per version of the pod template, and the way from one to the next."""
