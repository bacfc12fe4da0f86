"""The kubelet's server: logs, exec, attach and port-forward for the API server. TLS, client certificates required."""
