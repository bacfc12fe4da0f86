"""The private line between virt-handler and virt-launcher: typed messages over a unix socket.

`messages` has the words, `framing` the lines, `client` virt-handler's end, `server` virt-launcher's end, `fake` a
launcher without libvirt for tests. Nothing is re-exported here: the launcher must not load what it does not use.
"""
