"""The private line between virt-handler and virt-launcher: typed messages over a unix socket."""
