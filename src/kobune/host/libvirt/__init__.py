"""libvirt, typed and asynchronous: one connection, the domains behind it and their events.

`types` has what callers see, `connection` the real thing on libvirt-python (a Debian package, not on PyPI as a wheel;
imported only when a connection is opened), `fake` the same in memory. Nothing is re-exported: loading this package
must not load libvirt.
"""
