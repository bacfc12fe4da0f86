"""Which of a CustomResourceDefinition's names are free, and the conditions that say so.

Owns: the naming rules (a name once accepted stays; names are unique per group) and the NamesAccepted and Established
conditions. Pure: the server calls it whenever a definition of the group changes.
"""

from collections.abc import Iterable
from typing import Any

__all__ = ["accept_names"]


def accept_names(crd: dict[str, Any], others: Iterable[dict[str, Any]], now: str) -> dict[str, Any]:
    """The new status of a definition. `others` are all other definitions; `now` is an RFC 3339 time.

    Its names are taken from `spec.names` unless another definition of the same group has them already.
    """
    spec, old = crd["spec"], crd.get("status") or {}
    taken = _taken(spec["group"], others)
    kinds = taken["kinds"]
    wanted, had = spec["names"], old.get("acceptedNames") or {}
    accepted = dict(had)
    problem: tuple[str, str] | None = None
    for field, reason, used in (
        ("plural", "PluralConflict", taken["resources"]),
        ("singular", "SingularConflict", taken["resources"]),
        ("shortNames", "ShortNamesConflict", taken["resources"]),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        names = wanted.get(field)
        if not names:
            accepted.pop(field, None)
            continue
        clash = [n for n in ([names] if isinstance(names, str) else names) if n in used]
        if clash:
            message = ", ".join(f'"{n}" is already in use' for n in clash)
            problem = (reason, message)
            continue
        accepted[field] = names
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    else:
        accepted.pop("categories", None)
    accepted.setdefault("plural", "")
    accepted.setdefault("kind", "")
    status = dict(old)
    status["acceptedNames"] = accepted
    status["conditions"] = _conditions(old.get("conditions") or [], problem, now)
    status.setdefault("storedVersions", [v["name"] for v in spec["versions"] if v.get("storage")])
    return status


def _taken(group: str, others: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != group:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update(filter(None, (names.get("plural"), names.get("singular"))))
        resources.update(names.get("shortNames") or ())
        kinds.update(filter(None, (names.get("kind"), names.get("listKind"))))
    return {"resources": resources, "kinds": kinds}


def _conditions(old: list[dict[str, Any]], problem: tuple[str, str] | None, now: str) -> list[dict[str, Any]]:
    established = next((c for c in old if c["type"] == "Established"), None)
    if problem is None:
        wanted = [("NamesAccepted", "True", "NoConflicts", "no conflicts found")]
        wanted.append(("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"))
    else:
        wanted = [("NamesAccepted", "False", *problem)]
        if established is None or established["status"] != "True":
            wanted.append(("Established", "False", "NotAccepted", "not all names are accepted"))
    result = list(old)
    for kind, status, reason, message in wanted:
        place = next((i for i, c in enumerate(result) if c["type"] == kind), None)
        if place is not None and result[place]["status"] == status and result[place].get("reason") == reason:
            result[place] = {**result[place], "message": message}
            continue
        condition = {"lastTransitionTime": now, "message": message, "reason": reason, "status": status, "type": kind}
        if place is None:
            result.append(condition)
        else:
            result[place] = condition
    return result
