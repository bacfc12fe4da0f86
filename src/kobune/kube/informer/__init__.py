"""Local caches of what the API holds, kept fresh by watching."""

from kobune.kube.informer.cache import IndexFunction, by_controller_uid, by_field, by_label, by_namespace, by_owner_uid
from kobune.kube.informer.informer import Handler, Informer
from kobune.kube.informer.pool import InformerPool

__all__ = [
    "Handler",
    "IndexFunction",
    "Informer",
    "InformerPool",
    "by_controller_uid",
    "by_field",
    "by_label",
    "by_namespace",
    "by_owner_uid",
]
