"""Nobody gives away rights that he does not hold: the check on roles and bindings.

Source: RBAC's privilege escalation prevention (verbs escalate and bind lift it).
"""

from typing import Any

from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.rbac.rules import Rule, compact, parse_rules, uncovered
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.status import StatusError, forbidden, not_found
from kobune.embedded.apiserver.user import MASTERS

__all__ = ["EscalationCheck"]

_GROUP = "rbac.authorization.k8s.io"


class EscalationCheck:
    """Admission step."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def mutate(self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None) -> None:
        """Nothing."""

    async def validate(
        self, call: Call, operation: str, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Refuse rights that the user lacks. Raises StatusError 403."""
        if obj is None or call.resource.info.group != _GROUP or MASTERS in call.user.groups:
            return
        if call.resource.info.plural in ("roles", "clusterroles"):
            if (
                old is not None
                and old.get("rules") == obj.get("rules")
                and old.get("aggregationRule") == obj.get("aggregationRule")
            ):
                return
            self._role(call, obj)
        elif old is None or old.get("roleRef") != obj.get("roleRef") or old.get("subjects") != obj.get("subjects"):
            self._binding(call, obj)

    def _role(self, call: Call, obj: dict[str, Any]) -> None:
        info = call.resource.info
        if self._may(call, "escalate", info.plural, obj["metadata"]["name"]):
            return
        wanted = list(parse_rules(obj.get("rules")))
        if obj.get("aggregationRule"):
            wanted.append(Rule(("*",), ("*",), ("*",)))
            wanted.append(Rule(("*",), paths=("*",)))
        self._require(call, obj, wanted)

    def _binding(self, call: Call, obj: dict[str, Any]) -> None:
        reference = obj.get("roleRef") or {}
        plural = "clusterroles" if reference.get("kind") == "ClusterRole" else "roles"
        if self._may(call, "bind", plural, reference.get("name", "")):
            return
        rules = self._authorizer.role_rules(reference, call.info.namespace)
        if rules is None:
            raise not_found(_GROUP, plural, reference.get("name", ""))
        self._require(call, obj, rules)

    def _may(self, call: Call, verb: str, plural: str, name: str) -> bool:
        attributes = Attributes(call.user, verb, _GROUP, "v1", call.info.namespace, plural, "", name)
        return self._authorizer.allowed(attributes)

    def _require(self, call: Call, obj: dict[str, Any], wanted: Any) -> None:
        missing = uncovered(self._authorizer.rules_for(call.user, call.info.namespace), wanted)
        if missing:
            raise _refused(call, obj["metadata"]["name"], missing)


def _refused(call: Call, name: str, missing: list[Rule]) -> StatusError:
    user = call.user
    groups = " ".join(f'"{group}"' for group in user.groups)
    shown = "\n".join(_shown(rule) for rule in compact(missing))
    detail = (
        f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{shown}'
    )
    return forbidden(_GROUP, call.resource.info.plural, name, detail)


def _shown(rule: Rule) -> str:
    def quoted(values: tuple[str, ...]) -> str:
        return "[" + " ".join(f'"{value}"' for value in values) + "]"

    parts = []
    if rule.groups:
        parts.append(f"APIGroups:{quoted(rule.groups)}")
    if rule.resources:
        parts.append(f"Resources:{quoted(rule.resources)}")
    if rule.names:
        parts.append(f"ResourceNames:{quoted(rule.names)}")
    if rule.paths:
        parts.append(f"NonResourceURLs:{quoted(rule.paths)}")
    parts.append(f"Verbs:{quoted(rule.verbs)}")
    return "{" + ", ".join(parts) + "}"
