"""What the garbage collector of a cluster would do to the objects of the in-memory API."""

from typing import Any

from kobune.kube.client.resource import Resource
from kobune.kube.testing.store import Store

__all__ = ["collect_once"]


def collect_once(store: Store) -> bool:
    """Delete one object whose owners are all gone; False when there is none."""
    alive = {
        document["metadata"]["uid"]
        for collection in store.collections()
        for document in store.objects(collection).values()
    }
    for group, plural in store.collections():
        for key, document in list(store.objects((group, plural)).items()):
            owners = document["metadata"].get("ownerReferences") or []
            gone = owners and not any(owner["uid"] in alive for owner in owners)
            if gone and "deletionTimestamp" not in document["metadata"]:
                version = document["apiVersion"].rpartition("/")[2]
                resource: Resource[dict[str, Any]] = Resource(
                    group, version, plural, document["kind"], bool(key.namespace), dict
                )
                store.delete(resource, key, None, None)
                return True
    return False
