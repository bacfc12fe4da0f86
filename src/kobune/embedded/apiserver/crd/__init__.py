"""CustomResourceDefinitions as values: defaults, validation, acceptance of names, the resources they define."""

from kobune.embedded.apiserver.crd.names import accept_names
from kobune.embedded.apiserver.crd.resources import Schemas, resources, version_priority
from kobune.embedded.apiserver.crd.validate import default_crd, prepare_crd, validate_crd

__all__ = [
    "Schemas",
    "accept_names",
    "default_crd",
    "prepare_crd",
    "resources",
    "validate_crd",
    "version_priority",
]
