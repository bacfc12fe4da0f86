"""The authorizer that expressions ask, bound to one request: its user, its resource. Only reads."""

from typing import Any

from kobune.embedded.apiserver.cel.authorizer import Answer, Question
from kobune.embedded.apiserver.cel.policy_scope import authorizer_values
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.user import service_account_user

__all__ = ["authorizer_bindings", "questions"]


def questions(call: Call) -> Answer:
    """Answers by the server's authorizer for the request's user."""

    def answer(asked: Question) -> tuple[bool, str]:
        user = service_account_user(*asked.account) if asked.account else call.user
        attributes = Attributes(
            user,
            asked.verb,
            asked.group,
            "*" if asked.resource else "",
            asked.namespace,
            asked.resource,
            asked.subresource,
            asked.name,
            asked.path,
        )
        return call.services.authorizer.explain(attributes)

    return answer


def authorizer_bindings(call: Call) -> dict[str, Any]:
    """The variables `authorizer` and `authorizer.requestResource`."""
    info = call.resource.info
    resource = {"group": info.group, "resource": info.plural, "subresource": call.info.subresource}
    return authorizer_values({**resource, "namespace": call.info.namespace, "name": call.info.name})
