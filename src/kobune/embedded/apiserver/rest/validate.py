"""The calls into `validation`: defaults and rules that do not come from the schema's types.

Owns: that expressions which are about to be stored are checked elsewhere first, so that this process need not load what
checks them.
"""

from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.cel import verdicts
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.validation import default, validate_create, validate_update, warnings

__all__ = ["check_create", "check_update", "default", "warnings"]

_WITH_EXPRESSIONS = frozenset(
    (
        "CustomResourceDefinition",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingWebhookConfiguration",
    )
)


async def check_create(call: Call, obj: dict[str, Any]) -> list[FieldError]:
    """Everything that is wrong with a new object."""
    return await _check(call, lambda: validate_create(call.resource.info, obj))


async def check_update(call: Call, new: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    """Everything that is wrong with a changed object."""
    return await _check(call, lambda: validate_update(call.resource.info, new, old, call.info.subresource))


async def _check(call: Call, check: Callable[[], list[FieldError]]) -> list[FieldError]:
    if call.resource.info.kind in _WITH_EXPRESSIONS and not call.resource.info.custom:
        questions = verdicts.missing(check)
        if questions:
            await call.services.parts["expressions"].prepare(questions)
    return check()
