"""Kobune runs and manages virtual machines as Kubernetes resources."""
