"""The client: requests, watches and errors of any Kubernetes API."""
