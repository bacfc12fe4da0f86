"""Webhook configurations: names, rules, clients, conditions. Source: Kubernetes' admission registration."""

from typing import Any
from urllib.parse import urlsplit

from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.names import is_dns1035_label, is_dns1123_subdomain
from kobune.embedded.apiserver.validation.checks import one_of
from kobune.embedded.apiserver.validation.hook_rules import rule
from kobune.embedded.apiserver.validation.metadata import selector
from kobune.embedded.apiserver.validation.policies import conditions

__all__ = ["client", "webhooks"]

_FORM = "; desired format: https://host[/path]"


def webhooks(obj: dict[str, Any]) -> list[FieldError]:
    """The hooks of a Validating- or MutatingWebhookConfiguration."""
    errors: list[FieldError] = []
    names: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        at = f"webhooks[{i}]"
        errors += _hook(hook, at)
        errors += _review_versions(hook.get("admissionReviewVersions") or [], f"{at}.admissionReviewVersions")
        name = hook.get("name", "")
        if name and name in names:
            errors.append(FieldError.duplicate(f"{at}.name", name))
        names.add(name)
    return errors


def _hook(hook: dict[str, Any], path: str) -> list[FieldError]:
    errors = _full_name(hook.get("name", ""), f"{path}.name")
    for j, given in enumerate(hook.get("rules") or ()):
        errors += rule(given, f"{path}.rules[{j}]")
    errors += one_of(hook.get("failurePolicy"), ("Fail", "Ignore"), f"{path}.failurePolicy")
    errors += one_of(hook.get("matchPolicy"), ("Equivalent", "Exact"), f"{path}.matchPolicy")
    if hook.get("sideEffects") is None:
        errors.append(FieldError.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    errors += one_of(hook.get("sideEffects"), ("None", "NoneOnDryRun"), f"{path}.sideEffects")
    timeout = hook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(FieldError.invalid(f"{path}.timeoutSeconds", timeout, text))
    for field in ("namespaceSelector", "objectSelector"):
        errors += selector(hook.get(field) or {}, f"{path}.{field}")
    errors += one_of(hook.get("reinvocationPolicy"), ("IfNeeded", "Never"), f"{path}.reinvocationPolicy")
    errors += client(hook.get("clientConfig") or {}, f"{path}.clientConfig")
    return errors + conditions(hook.get("matchConditions") or [], f"{path}.matchConditions")


def _full_name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [FieldError.required(path)]
    if wrong := is_dns1123_subdomain(name):
        return [FieldError.invalid(path, name, ",".join(wrong))]
    if len(name.split(".")) < 3:
        text = "should be a domain with at least three segments separated by dots"
        return [FieldError.invalid(path, name, text)]
    return []


def _review_versions(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [FieldError.required(path, "must specify one of v1, v1beta1")]
    errors: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.append(FieldError.invalid(f"{path}[{i}]", version, "duplicate version"))
            continue
        errors += [FieldError.invalid(f"{path}[{i}]", version, text) for text in is_dns1035_label(version)]
    if not {"v1", "v1beta1"} & set(versions):
        errors.append(FieldError.invalid(path, versions, "must include at least one of v1, v1beta1"))
    return errors


def client(given: dict[str, Any], path: str) -> list[FieldError]:
    """Where a webhook is: by URL or by Service."""
    url, service = given.get("url"), given.get("service")
    if (url is None) == (service is None):
        return [FieldError.required(path, "exactly one of url or service is required")]
    if service is None:
        return _url(url, f"{path}.url")
    return _service(service, f"{path}.service")


def _url(url: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [FieldError.required(path, f"url must be a valid URL: {error}{_FORM}")]
    user, at, host = parts.netloc.rpartition("@")
    if parts.scheme != "https":
        errors.append(FieldError.invalid(path, parts.scheme, "'https' is the only allowed URL scheme" + _FORM))
    if not host:
        errors.append(FieldError.invalid(path, "", "host must be specified" + _FORM))
    if at:
        errors.append(FieldError.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(FieldError.invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(FieldError.invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return errors


def _service(service: dict[str, Any], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("name", "namespace"):
        if not service.get(field):
            errors.append(FieldError.required(f"{path}.{field}", f"service {field} is required"))
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        errors.append(FieldError.invalid(f"{path}.port", port, text))
    where, at = service.get("path") or "/", f"{path}.path"
    if where == "/":
        return errors
    if where == "//":
        return [*errors, FieldError.invalid(at, where, "segment[0] may not be empty")]
    if not where.startswith("/"):
        errors.append(FieldError.invalid(at, where, "must start with a '/'"))
    for i, segment in enumerate(where[1:].removesuffix("/").split("/")):
        if not segment:
            errors.append(FieldError.invalid(at, where, f"segment[{i}] may not be empty"))
            continue
        for text in is_dns1123_subdomain(segment):
            errors.append(FieldError.invalid(at, where, f"segment[{i}]: {text}"))
    return errors
