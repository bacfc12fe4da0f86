"""Rules of a pod's volumes."""

from typing import Any

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1123_label
from kobune.embedded.apiserver.validation.checks import amount, one_of
from kobune.embedded.apiserver.validation.pod_sources import (
    VOLUME_FIELDS,
    field_ref,
    keys_to_paths,
    local_path,
    mode,
    no_backsteps,
    resource_ref,
)

__all__ = ["volumes"]

_HOST_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_NEEDED = (("persistentVolumeClaim", "claimName"), ("hostPath", "path"), ("gitRepo", "repository"), ("nfs", "server"))


def volumes(given: list[dict[str, Any]], path: str, errors: list[FieldError]) -> dict[str, dict[str, Any]]:
    """Adds what is wrong to `errors`; the volumes by name."""
    found: dict[str, dict[str, Any]] = {}
    for i, volume in enumerate(given):
        at = f"{path}[{i}]"
        name = volume.get("name", "")
        if not name:
            errors.append(FieldError.required(f"{at}.name"))
        elif name in found:
            errors.append(FieldError.duplicate(f"{at}.name", name))
        else:
            errors += [FieldError.invalid(f"{at}.name", name, m) for m in is_dns1123_label(name)]
        found[name] = volume
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:
            text = "may not specify more than 1 volume type"
            errors += [FieldError.forbidden(f"{at}.{key}", text) for key in sources[1:]]
        if sources and isinstance(volume[sources[0]], dict):
            errors += _source(sources[0], volume[sources[0]], f"{at}.{sources[0]}")
    return found


def _source(kind: str, source: dict[str, Any], path: str) -> list[FieldError]:
    errors = [FieldError.required(f"{path}.{field}") for key, field in _NEEDED if key == kind and not source.get(field)]
    match kind:
        case "hostPath":
            errors += no_backsteps(source.get("path", ""), f"{path}.path")
            errors += one_of(source.get("type"), _HOST_TYPES, f"{path}.type")
        case "emptyDir":
            if source.get("sizeLimit") is not None and amount(source["sizeLimit"]) < 0:
                text = "SizeLimit field must be a valid resource quantity"
                errors.append(FieldError.forbidden(f"{path}.sizeLimit", text))
        case "secret" | "configMap":
            field = "secretName" if kind == "secret" else "name"
            if not source.get(field):
                errors.append(FieldError.required(f"{path}.{field}"))
            errors += mode(source.get("defaultMode"), f"{path}.defaultMode")
            errors += keys_to_paths(source.get("items") or [], f"{path}.items")
        case "downwardAPI":
            errors += mode(source.get("defaultMode"), f"{path}.defaultMode")
            errors += _downward(source.get("items") or [], path)
        case "projected":
            errors += _projected(source, path)
    return errors


def _downward(items: list[dict[str, Any]], path: str) -> list[FieldError]:
    # The real server names the volume, not the item.
    errors: list[FieldError] = []
    for item in items:
        target = item.get("path", "")
        if not target:
            errors.append(FieldError.required(f"{path}.path"))
        errors += local_path(target, f"{path}.path")
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if field is not None:
            errors += field_ref(field, f"{path}.fieldRef", VOLUME_FIELDS)
            if resource is not None:
                text = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(FieldError.invalid(path, "resource", text))
        elif resource is not None:
            errors += resource_ref(resource, f"{path}.resourceFieldRef", volume=True)
        else:
            errors.append(FieldError.required(path, "one of fieldRef and resourceFieldRef is required"))
        errors += mode(item.get("mode"), f"{path}.mode")
    return errors


def _projected(source: dict[str, Any], path: str) -> list[FieldError]:
    errors = mode(source.get("defaultMode"), f"{path}.defaultMode")
    taken: set[str] = set()

    def take(file: str, shown: str) -> None:
        if file in taken:
            errors.append(FieldError.invalid(path, shown, "conflicting duplicate paths"))
        taken.add(file)

    for i, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{i}]"
        for kind in ("secret", "configMap"):
            given = part.get(kind)
            if given is None:
                continue
            if not given.get("name"):
                errors.append(FieldError.required(f"{at}.{kind}.name"))
            errors += keys_to_paths(given.get("items") or [], f"{at}.{kind}.items")
            for item in given.get("items") or ():
                if item.get("path"):
                    take(item["path"], given.get("name", ""))
        if part.get("downwardAPI") is not None:
            items = part["downwardAPI"].get("items") or []
            errors += _downward(items, f"{at}.downwardAPI")
            for item in items:
                if item.get("path"):
                    take(item["path"], item["path"])
        token = part.get("serviceAccountToken")
        if token is not None:
            errors += _token(token, f"{at}.serviceAccountToken")
            if token.get("path"):
                take(token["path"], token["path"])
        if len(part) > 1:
            errors.append(FieldError.forbidden(at, "may not specify more than 1 volume type"))
    return errors


def _token(token: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    life, at = token.get("expirationSeconds", 3600), f"{path}.expirationSeconds"
    if life < 600:
        errors.append(FieldError.invalid(at, life, "may not specify a duration less than 10 minutes"))
    if life > 1 << 32:
        errors.append(FieldError.invalid(at, life, "may not specify a duration larger than 2^32 seconds"))
    if not token.get("path"):
        errors.append(FieldError.required(f"{path}.path"))
    return errors + local_path(token.get("path", ""), f"{path}.path")
