"""Controllers that a Kubernetes control plane brings along, for embedded mode: one package each."""
