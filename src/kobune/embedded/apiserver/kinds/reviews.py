"""Access and identity reviews: answered from the authorizer and the authenticator, never stored."""

from typing import Any

from kobune.embedded.apiserver.auth.authenticator import Authenticator
from kobune.embedded.apiserver.auth.tokens import AUDIENCE
from kobune.embedded.apiserver.http.message import AnyResponse
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.node import node_of
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.body import read_object
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import write_options
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.status import StatusError, bad_request, invalid, method_not_allowed
from kobune.embedded.apiserver.timestamps import now
from kobune.embedded.apiserver.user import User

__all__ = ["Reviews"]


class Reviews:
    """Handlers of the kinds in authorization.k8s.io and authentication.k8s.io."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def subject_access(self, call: Call) -> AnyResponse:
        """SubjectAccessReview and LocalSubjectAccessReview."""
        review = _read(call)
        spec = review.get("spec") or {}
        errors = _attribute_errors(spec)
        if not spec.get("user") and not spec.get("groups"):
            errors.append(FieldError.invalid("spec.user", "", "at least one of user or group must be specified"))
        if call.info.resource == "localsubjectaccessreviews":
            attributes = spec.get("resourceAttributes") or {}
            if attributes.get("namespace", "") != call.info.namespace:
                errors.append(
                    FieldError.invalid(
                        "spec.resourceAttributes.namespace",
                        attributes.get("namespace", ""),
                        "must match metadata.namespace",
                    )
                )
        if errors:
            raise invalid(call.info.group, "", "", errors)
        user = User(
            spec.get("user", ""),
            tuple(spec.get("groups") or ()),
            spec.get("uid", ""),
            {key: tuple(values) for key, values in (spec.get("extra") or {}).items()},
        )
        return await self._access(call, review, user)

    async def self_access(self, call: Call) -> AnyResponse:
        """SelfSubjectAccessReview."""
        review = _read(call)
        errors = _attribute_errors(review.get("spec") or {})
        if errors:
            raise invalid(call.info.group, "", "", errors)
        return await self._access(call, review, call.user)

    async def _access(self, call: Call, review: dict[str, Any], user: User) -> AnyResponse:
        spec = review["spec"]
        asked = spec.get("resourceAttributes")
        if asked is not None:
            attributes = Attributes(
                user,
                asked.get("verb", ""),
                asked.get("group", ""),
                asked.get("version", ""),
                asked.get("namespace", ""),
                asked.get("resource", ""),
                asked.get("subresource", ""),
                asked.get("name", ""),
            )
        else:
            path = spec["nonResourceAttributes"]
            attributes = Attributes(user, path.get("verb", ""), path=path.get("path", ""))
        allowed, reason = call.services.authorizer.explain(attributes)
        review["status"] = {"allowed": allowed} | ({"reason": reason} if reason else {})
        return await respond.obj(call, 201, review)

    async def self_rules(self, call: Call) -> AnyResponse:
        """SelfSubjectRulesReview."""
        review = _read(call)
        namespace = (review.get("spec") or {}).get("namespace", "")
        if not namespace:
            raise bad_request("no namespace on request")
        resource_rules, path_rules = [], []
        for rule in call.services.authorizer.rules_for(call.user, namespace):
            if rule.paths:
                path_rules.append({"verbs": list(rule.verbs), "nonResourceURLs": list(rule.paths)})
            if rule.resources:
                wire = rule.wire()
                wire.pop("nonResourceURLs", None)
                resource_rules.append(wire)
        # What a node may do follows from its pods: no list of rules says it.
        node = node_of(call.user) is not None
        review["status"] = {
            "resourceRules": resource_rules,
            "nonResourceRules": path_rules,
            "incomplete": node,
        }
        if node:
            review["status"]["evaluationError"] = "node authorizer does not support user rule resolution"
        return await respond.obj(call, 201, review)

    async def self_subject(self, call: Call) -> AnyResponse:
        """SelfSubjectReview: who am I."""
        review = _read(call)
        review["metadata"]["creationTimestamp"] = now()
        review["status"] = {"userInfo": call.user.info()}
        return await respond.obj(call, 201, review)

    async def token(self, call: Call) -> AnyResponse:
        """TokenReview."""
        review = _read(call)
        spec = review.get("spec") or {}
        token = spec.get("token", "")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or [AUDIENCE]
        try:
            user, matching = self._authenticator.authenticate_token(token, list(audiences))
            status: dict[str, Any] = {"authenticated": True, "user": user.info(), "audiences": matching}
        except StatusError as error:
            cause = error.__cause__
            detail = str(cause) if cause is not None else "invalid bearer token"
            status = {"user": {}, "error": f"[invalid bearer token, {detail}]" if cause else detail}
        review["status"] = status
        return await respond.obj(call, 201, review)


def _read(call: Call) -> dict[str, Any]:
    if call.info.verb != "create":
        raise method_not_allowed()
    options = write_options(call.request, kind="CreateOptions")
    review = read_object(call, call.resource.info, options.field_validation)
    if call.resource.info.namespaced:
        review["metadata"]["namespace"] = call.info.namespace
    return review


def _attribute_errors(spec: dict[str, Any]) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        return [
            FieldError.invalid(
                "spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes"
            )
        ]
    if resource is None and path is None:
        return [
            FieldError.invalid(
                "spec.resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        ]
    return []
