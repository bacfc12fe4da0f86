"""How the core kinds are addressed: one `Resource` constant each."""

from typing import Final

from kobune.api import core
from kobune.kube.client.resource import Resource

__all__ = [
    "CONFIG_MAPS",
    "ENDPOINTS",
    "ENDPOINT_SLICES",
    "EVENTS",
    "LEASES",
    "NAMESPACES",
    "NODES",
    "PERSISTENT_VOLUMES",
    "PERSISTENT_VOLUME_CLAIMS",
    "PODS",
    "SECRETS",
    "SERVICES",
    "SERVICE_ACCOUNTS",
    "STORAGE_CLASSES",
]

PODS: Final = Resource("", "v1", "pods", "Pod", True, core.Pod)
NODES: Final = Resource("", "v1", "nodes", "Node", False, core.Node)
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", False, core.Namespace)
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", True, core.ConfigMap)
SECRETS: Final = Resource("", "v1", "secrets", "Secret", True, core.Secret)
SERVICES: Final = Resource("", "v1", "services", "Service", True, core.Service)
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount", True, core.ServiceAccount)
EVENTS: Final = Resource("", "v1", "events", "Event", True, core.CoreEvent)
ENDPOINTS: Final = Resource("", "v1", "endpoints", "Endpoints", True, core.Endpoints)
PERSISTENT_VOLUME_CLAIMS: Final = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, core.PersistentVolumeClaim
)
PERSISTENT_VOLUMES: Final = Resource("", "v1", "persistentvolumes", "PersistentVolume", False, core.PersistentVolume)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease", True, core.Lease)
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", True, core.EndpointSlice)
STORAGE_CLASSES: Final = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False, core.StorageClass)
