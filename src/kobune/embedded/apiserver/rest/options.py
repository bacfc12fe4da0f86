"""Query options of list, watch and write requests, checked with the API's messages. Pure."""

import random
from dataclasses import dataclass
from typing import Any

from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.registry.selectors import (
    FieldSelector,
    LabelSelector,
    SelectorError,
    parse_fields,
    parse_labels,
)
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.status import StatusError, bad_request, invalid

__all__ = ["ListOptions", "WriteOptions", "list_options", "write_options"]

_EVERYTHING = LabelSelector()
_ANY_FIELD = FieldSelector()


@dataclass(slots=True)
class ListOptions:
    """Options of list, watch and deletecollection. `resource_version` is None when unset."""

    labels: LabelSelector = _EVERYTHING
    fields: FieldSelector = _ANY_FIELD
    resource_version: int | None = None
    match: str = ""
    limit: int = 0
    continue_token: str = ""
    timeout_s: float | None = None
    bookmarks: bool = False
    send_initial_events: bool | None = None


@dataclass(slots=True)
class WriteOptions:
    """Options of create, update and patch."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: str = "Warn"
    force: bool | None = None


_DEFAULT = ListOptions()


def list_options(request: Request, info: ResourceInfo, *, watch: bool) -> ListOptions:
    """Parse and check. Raises StatusError 400 or 422."""
    if not request.raw_query:
        return _DEFAULT
    option = request.option
    options = ListOptions()
    try:
        if text := option("labelSelector"):
            options.labels = parse_labels(text)
        if text := option("fieldSelector"):
            options.fields = parse_fields(text)
    except SelectorError as error:
        raise bad_request(str(error)) from error
    _check_fields(options.fields, info)
    options.limit = _number(option("limit"), "limit")
    options.continue_token = option("continue")
    options.bookmarks = _boolean(option("allowWatchBookmarks"))
    if text := option("timeoutSeconds"):
        options.timeout_s = float(_number(text, "timeoutSeconds"))
    options.match = option("resourceVersionMatch")
    initial = option("sendInitialEvents")
    options.send_initial_events = _boolean(initial) if initial else None
    version = option("resourceVersion")
    errors = _check_versions(options, version, watch)
    if errors:
        raise invalid("meta.k8s.io", "ListOptions", "", errors)
    if options.continue_token and version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")
    if version:
        if not version.isdigit():
            raise StatusError(
                400,
                "BadRequest",
                f'strconv.ParseUint: parsing "{version}": invalid syntax'
                if watch
                else f'invalid resource version "{version}": strconv.ParseUint: parsing "{version}": invalid syntax',
            )
        options.resource_version = int(version)
    return options


def _check_versions(options: ListOptions, version: str, watch: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    field = "resourceVersionMatch"
    match = options.match
    if watch:
        if options.send_initial_events is None and match:
            errors.append(
                FieldError.forbidden(
                    field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                )
            )
        if options.send_initial_events is not None:
            if match != "NotOlderThan":
                errors.append(
                    FieldError.forbidden(
                        field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
                    )
                )
            if match not in ("", "NotOlderThan"):
                errors.append(FieldError.not_supported(field, match, ("NotOlderThan",)))
        if options.continue_token:
            errors.append(FieldError.forbidden("continue", "continue is forbidden for watch"))
        return errors
    if options.send_initial_events is not None:
        errors.append(FieldError.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if match:
        if not version:
            errors.append(
                FieldError.forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")
            )
        if options.continue_token:
            errors.append(FieldError.forbidden(field, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            errors.append(FieldError.not_supported(field, match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and version == "0":
            errors.append(
                FieldError.forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
            )
    return errors


def _check_fields(selector: FieldSelector, info: ResourceInfo) -> None:
    known = ["metadata.name"]
    if info.namespaced:
        known.append("metadata.namespace")
    for path, _, _ in selector.terms:
        if path in known or path in info.selectable_fields:
            continue
        if not info.namespaced and path == "metadata.namespace":
            continue
        if info.selectable_fields:
            raise bad_request(f"field label not supported: {path}")
        supported = ", ".join(f'"{name}"' for name in ("metadata.name", "metadata.namespace"))
        raise bad_request(f'"{path}" is not a known field selector: only {supported}')


def write_options(request: Request, *, kind: str, patch: bool = False, apply: bool = False) -> WriteOptions:
    """Parse and check; `kind` is CreateOptions, UpdateOptions or PatchOptions. Raises StatusError."""
    if not request.raw_query:
        return _DEFAULT_WRITE if not apply else WriteOptions()
    option = request.option
    options = WriteOptions()
    errors: list[FieldError] = []
    dry_run = request.query.get("dryRun", [])
    if any(value != "All" for value in dry_run):
        errors.append(_dry_run_error(dry_run))
    options.dry_run = bool([value for value in dry_run if value])
    options.field_manager = option("fieldManager")
    if len(options.field_manager) > 128:
        errors.append(FieldError.too_long("fieldManager", 128))
    for index, character in enumerate(options.field_manager):
        if not character.isprintable():
            detail = f"invalid character U+{ord(character):04X} (at position {index})"
            errors.append(FieldError.invalid("fieldManager", options.field_manager, detail))
    validation = option("fieldValidation")
    if validation not in ("", "Ignore", "Warn", "Strict"):
        errors.append(FieldError.not_supported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    options.field_validation = validation or "Warn"
    if patch:
        force = option("force")
        options.force = _boolean(force) if force else None
        if options.force is not None and not apply:
            errors.append(FieldError.forbidden("force", "may not be specified for non-apply patch"))
    if errors:
        raise invalid("meta.k8s.io", kind, "", errors)
    return options


_DEFAULT_WRITE = WriteOptions()


def _dry_run_error(values: list[str]) -> FieldError:
    return FieldError.not_supported("dryRun", values, ("All",))


def _number(text: str, name: str) -> int:
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _boolean(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "f")


def watch_timeout_s(options: ListOptions) -> float:
    """How long a watch lasts: as asked, else 30 to 60 minutes so that clients don't all come back at once."""
    if options.timeout_s:
        return options.timeout_s
    return 1800.0 + random.random() * 1800.0  # noqa: S311 - spreads load, hides nothing


def delete_options_errors(options: dict[str, Any]) -> list[FieldError]:
    """What is wrong with a DeleteOptions object."""
    errors: list[FieldError] = []
    if options.get("orphanDependents") is not None and options.get("propagationPolicy") is not None:
        errors.append(
            FieldError.invalid(
                "propagationPolicy",
                options["propagationPolicy"],
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    policy = options.get("propagationPolicy")
    if policy not in (None, "Foreground", "Background", "Orphan"):
        errors.append(
            FieldError.not_supported("propagationPolicy", policy, ("Foreground", "Background", "Orphan", "nil"))
        )
    dry_run = options.get("dryRun") or []
    if any(value != "All" for value in dry_run):
        errors.append(_dry_run_error(dry_run))
    return errors
