"""Mutating and validating webhooks: which are asked, in which order, and what their answers do to a request."""

import asyncio
import copy
import logging
from typing import Any

from kobune.embedded.apiserver.admission.conditions import ConditionError, Conditions
from kobune.embedded.apiserver.admission.matching import Matched, Matcher, object_selected, selector
from kobune.embedded.apiserver.admission.review import Verdict, WebhookClient, WebhookFailed, admission_request
from kobune.embedded.apiserver.patch import PatchError, json_patch
from kobune.embedded.apiserver.registry.collection import Change, Collection
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.convert import convert
from kobune.embedded.apiserver.status import StatusError, bad_request, internal

__all__ = ["MutatingWebhooks", "ValidatingWebhooks"]

log = logging.getLogger(__name__)


class _Hooks:
    """The webhooks of one kind of configuration, in order of configuration name."""

    def __init__(self, collection: Collection, matcher: Matcher, client: WebhookClient) -> None:
        self._collection = collection
        self._matcher = matcher
        self._client = client
        self._compiled: list[_Hook] | None = None
        collection.listen(self._changed)

    def _changed(self, change: Change) -> None:
        self._compiled = None

    def _all(self) -> "list[_Hook]":
        if self._compiled is None:
            self._compiled = [
                _Hook(hook, f"{item.name}/{index}")
                for item in self._collection.select()
                for index, hook in enumerate(item.object().get("webhooks") or ())
            ]
        return self._compiled

    def _wanted(
        self, hook: "_Hook", call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> Matched | None:
        """Whether the hook is to be asked. Raises StatusError when its conditions can't be evaluated."""
        matched = self._matcher.rules(call, operation, hook.rules, hook.match_policy)
        if matched is None:
            return None
        labels = self._matcher.namespace_labels(call, obj, old)
        if labels is not None and not hook.namespaces.matches(labels):
            return None
        if not object_selected(hook.objects, obj, old):
            return None
        return matched

    async def _views(
        self, matched: Matched, call: Call, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        if matched.resource is call.resource:
            return obj, old
        target = matched.resource
        seen = await convert(call.resource, target, obj) if obj is not None else None
        before = await convert(call.resource, target, old) if old is not None else None
        return seen, before

    def _conditions_hold(self, hook: "_Hook", request: dict[str, Any], call: Call) -> bool:
        if hook.conditions is None:
            return True
        try:
            return hook.conditions.hold(request, call, self._matcher.namespace_object(call))
        except ConditionError as error:
            if hook.ignores_failures:
                return False
            raise StatusError(403, "Forbidden", f'admission webhook "{hook.name}": {error}') from error

    def _check_dry_run(self, hook: "_Hook", call: Call) -> None:
        if call.dry_run and hook.definition.get("sideEffects") not in ("None", "NoneOnDryRun"):
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')

    async def _ask(self, hook: "_Hook", request: dict[str, Any], *, mutating: bool) -> Verdict | None:
        """The verdict; None when the webhook failed and that is to be ignored. Raises StatusError."""
        try:
            return await self._client.review(hook.definition, request, mutating=mutating)
        except WebhookFailed as error:
            if hook.ignores_failures:
                log.info("webhook %s failed, ignored: %s", hook.name, error)
                return None
            raise internal(f'failed calling webhook "{hook.name}": {error}') from error


class _Hook:
    """One webhook, compiled."""

    __slots__ = (
        "conditions",
        "definition",
        "ignores_failures",
        "key",
        "match_policy",
        "name",
        "namespaces",
        "objects",
        "reinvoke",
        "rules",
    )

    def __init__(self, definition: dict[str, Any], key: str) -> None:
        self.definition = definition
        self.key = key
        self.name = definition.get("name", "")
        self.rules = definition.get("rules") or []
        self.match_policy = definition.get("matchPolicy") or "Equivalent"
        self.namespaces = selector(definition.get("namespaceSelector"))
        self.objects = selector(definition.get("objectSelector"))
        self.ignores_failures = definition.get("failurePolicy") == "Ignore"
        self.reinvoke = definition.get("reinvocationPolicy") == "IfNeeded"
        conditions = definition.get("matchConditions") or []
        self.conditions = Conditions(conditions) if conditions else None


class MutatingWebhooks(_Hooks):
    """Admission step."""

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Ask each hook in turn; those that want to are asked again when later ones changed the object."""
        hooks = self._all()
        if not hooks:
            return
        asked: dict[str, dict[str, Any] | None] = {}
        for hook in hooks:
            if await self._one(hook, call, operation, obj, old):
                asked[hook.key] = copy.deepcopy(obj)
        for hook in hooks:
            if hook.reinvoke and hook.key in asked and asked[hook.key] != obj:
                await self._one(hook, call, operation, obj, old)

    async def _one(
        self, hook: _Hook, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> bool:
        matched = self._wanted(hook, call, operation, obj, old)
        if matched is None:
            return False
        seen, before = await self._views(matched, call, obj, old)
        request = admission_request(call, operation, matched.resource, seen, before)
        if not self._conditions_hold(hook, request, call):
            return False
        self._check_dry_run(hook, call)
        verdict = await self._ask(hook, request, mutating=True)
        if verdict is None:
            return True
        for warning in verdict.warnings:
            call.warn(warning)
        if not verdict.allowed:
            raise _denied(hook, verdict)
        if verdict.patch and obj is not None:
            assert seen is not None
            try:
                changed = json_patch(seen, verdict.patch)
            except PatchError as error:
                raise internal(str(error)) from error
            if "metadata" in seen and not isinstance(changed.get("metadata"), dict):
                raise internal("the patch of a webhook removed the metadata")
            if matched.resource is not call.resource:
                changed = await convert(matched.resource, call.resource, changed)
            obj.clear()
            obj.update(changed)
            call.changed = True
        return True

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Nothing."""


class ValidatingWebhooks(_Hooks):
    """Admission step."""

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Nothing."""

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Ask all hooks at once; the first refusal in order counts."""
        pending = []
        for hook in self._all():
            matched = self._wanted(hook, call, operation, obj, old)
            if matched is None:
                continue
            seen, before = await self._views(matched, call, obj, old)
            request = admission_request(call, operation, matched.resource, seen, before)
            if not self._conditions_hold(hook, request, call):
                continue
            self._check_dry_run(hook, call)
            pending.append((hook, self._ask(hook, request, mutating=False)))
        if not pending:
            return
        answers = await asyncio.gather(*(asked for _, asked in pending), return_exceptions=True)
        for (hook, _), answer in zip(pending, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            if answer is None:
                continue
            for warning in answer.warnings:
                call.warn(warning)
            if not answer.allowed:
                raise _denied(hook, answer)


def _denied(hook: _Hook, verdict: Verdict) -> StatusError:
    message = f'admission webhook "{hook.name}" denied the request'
    if verdict.message:
        message += f": {verdict.message}"
    elif verdict.reason:
        message += f": {verdict.reason}"
    else:
        message += " without explanation"
    code = verdict.code if verdict.code >= 400 else (403 if verdict.code else 400)
    return StatusError(code, verdict.reason, message, verdict.details)
