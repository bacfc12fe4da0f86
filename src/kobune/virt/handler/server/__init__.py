"""virt-handler's server: console, VNC and commands of this node's guests, for virt-api alone (mutual TLS)."""
