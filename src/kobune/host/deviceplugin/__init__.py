"""The kubelet's device plugin API (v1beta1): generated messages and stubs, and the names both ends agree on.

Owns the wire format alone; the kubelet's side lives in `kobune.embedded.kubelet`, the plugins in
`kobune.virt.handler.devices`.
"""

from typing import Final

__all__ = ["API_VERSION", "HEALTHY", "KUBELET_SOCKET", "UNHEALTHY"]

API_VERSION: Final = "v1beta1"
KUBELET_SOCKET: Final = "kubelet.sock"
"""In the device plugin directory, `KUBELET_ROOT/device-plugins`."""

HEALTHY: Final = "Healthy"
UNHEALTHY: Final = "Unhealthy"
