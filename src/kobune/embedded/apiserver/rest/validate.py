"""Defaults and validation on writes: the parts that do not come from the schema's types."""

import re
from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["check_create", "check_update", "default"]


def default(info: ResourceInfo, obj: dict[str, Any]) -> None:
    """Fill in defaults of built-in kinds."""


def check_create(info: ResourceInfo, obj: dict[str, Any]) -> list[FieldError]:
    """What is wrong with a new object."""
    errors: list[FieldError] = []
    meta = obj["metadata"]
    if not meta.get("name"):
        errors.append(FieldError.required("metadata.name", "name or generateName is required"))
    elif not re.fullmatch(r"[a-z0-9A-Z:._-]+", meta["name"]):
        errors.append(FieldError.invalid("metadata.name", meta["name"], "a lowercase RFC 1123 subdomain is needed"))
    return errors + info.schema.validate(obj)


def check_update(info: ResourceInfo, obj: dict[str, Any], old: dict[str, Any], subresource: str) -> list[FieldError]:
    """What is wrong with a changed object."""
    return info.schema.validate(obj, old)
