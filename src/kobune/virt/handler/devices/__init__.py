"""The node's devices for guests: what is proved to work, and the device plugins that offer it to pods."""
