"""CustomResourceDefinitions, generated from the API types."""

from kobune.api.crd.definitions import all_definitions, companion_definitions, definition_of
from kobune.api.crd.schema import structural_schema

__all__ = ["all_definitions", "companion_definitions", "definition_of", "structural_schema"]
