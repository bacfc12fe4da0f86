"""Speaks to any Kubernetes API: client, informer, controller runtime, and an in-memory API for tests."""
