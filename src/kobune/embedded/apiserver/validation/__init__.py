"""Defaults and rules of built-in kinds that OpenAPI does not carry, and the rules of ObjectMeta for all kinds."""

from kobune.embedded.apiserver.validation.rules import default, validate_create, validate_update
from kobune.embedded.apiserver.validation.warnings import warnings

__all__ = ["default", "validate_create", "validate_update", "warnings"]
