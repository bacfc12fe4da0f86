"""Defaults and rules of built-in kinds that OpenAPI does not carry, and the rules of ObjectMeta for all kinds."""
