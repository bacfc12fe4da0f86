"""Field ownership on writes: who owns what after an update, and server-side apply.

Owns: the two operations and their errors. Pure: the time is given. Source: the documentation of server-side apply.
"""

from typing import Any

from kobune.base.errors import TerminalError
from kobune.embedded.apiserver.apply.fields import FieldSet, Path, format_path
from kobune.embedded.apiserver.apply.managers import Managed, Owner
from kobune.embedded.apiserver.apply.typed import (
    Comparison,
    compare,
    field_set,
    merge,
    problems,
    remove,
    with_named_ancestors,
)
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.schema.shape import Shape

__all__ = ["ApplyConflict", "ApplyError", "server_side_apply", "update_managed"]

_BEFORE = "before-first-apply"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_UNOWNED: FieldSet = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
}
"""Fields of the system: nobody owns them."""


class ApplyError(TerminalError):
    """The configuration can't be applied: answer `code` with `reason`."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class ApplyConflict(TerminalError):
    """Others own fields that would change: answer 409 Conflict with `causes`."""

    def __init__(self, conflicts: list[tuple[Owner, Path]]) -> None:
        self.conflicts = sorted(conflicts, key=lambda c: (c[0].describe(), c[1]))
        self.causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {owner.describe()}",
                "field": format_path(path),
            }
            for owner, path in self.conflicts
        ]
        super().__init__(_conflict_text(self.conflicts))


def _conflict_text(conflicts: list[tuple[Owner, Path]]) -> str:
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {owner.describe()}: {format_path(path)}"
    by_owner: dict[str, list[Path]] = {}
    for owner, path in conflicts:
        by_owner.setdefault(owner.describe(), []).append(path)
    parts = [
        f"conflicts with {described}:" + "".join(f"\n- {format_path(path)}" for path in paths)
        for described, paths in by_owner.items()
    ]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(parts)


def update_managed(
    info: ResourceInfo,
    live: dict[str, Any] | None,
    new: dict[str, Any],
    *,
    manager: str,
    now: str,
    subresource: str = "",
) -> None:
    """Set new.metadata.managedFields after a create (live is None), update or patch.

    What the client sent as managedFields is taken as the starting point if it is well-formed; a list with one empty
    entry clears the bookkeeping. An object without bookkeeping gets none by an update. `now` is RFC 3339.
    """
    sent = new["metadata"].pop("managedFields", None)
    before = (live or {}).get("metadata", {}).get("managedFields")
    managed: Managed | None = None
    if sent:
        managed = Managed() if _cleared(sent) else Managed.decode(sent)
    if managed is None:
        managed = Managed.decode(before) or Managed()
    if live is not None and not managed.sets:
        return
    if not _fits_other_versions(info, managed, live, new):
        return
    former = managed.copy()
    owner = Owner(manager, "Update", info.group_version, subresource)
    difference = _difference(info, _plain(live) if live is not None else _zero(info), new, subresource)
    _take_over(managed, owner, difference)
    own = managed.sets.get(owner, set())
    own = (own - difference.removed) | difference.added | difference.modified
    managed.sets[owner] = own - _UNOWNED
    managed.drop_empty()
    if managed.sets.get(owner) != former.sets.get(owner) and owner in managed.sets:
        managed.times[owner] = now
    managed.cap()
    if managed.sets:
        new["metadata"]["managedFields"] = managed.encode()


def _fits_other_versions(
    info: ResourceInfo, managed: Managed, live: dict[str, Any] | None, new: dict[str, Any]
) -> bool:
    """Whether the object can be seen in the versions that its owners wrote in; if not, bookkeeping ends.

    Owners that wrote in a version that is served no more are forgotten.
    """
    schemas = info.extra.get("schemas")
    if schemas is None:
        return True
    for owner in list(managed.sets):
        if owner.api_version == info.group_version:
            continue
        schema = schemas.get(owner.api_version)
        if schema is None:
            del managed.sets[owner]
        elif any(obj is not None and problems(schema.shape, obj) for obj in (live, new)):
            return False
    return True


def _cleared(entries: Any) -> bool:
    return isinstance(entries, list) and len(entries) == 1 and not any((entries[0] or {}).values())


def _plain(obj: dict[str, Any]) -> dict[str, Any]:
    if "managedFields" not in obj.get("metadata", {}):
        return obj
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "managedFields"}}


def _zero(info: ResourceInfo) -> dict[str, Any]:
    """The object that a creation is compared with: what an empty one of the kind has anyway."""
    if info.custom:
        return {}
    zero = info.extra.get("zero")
    if zero is None:
        zero = {}
        info.schema.decode(zero)
        info.extra["zero"] = zero
    return dict(zero)


def _reset(info: ResourceInfo, subresource: str) -> tuple[str, ...]:
    """Top-level fields that this endpoint ignores, and which its writers therefore never own."""
    if subresource == "status":
        return ("f:spec",)
    return ("f:status",) if info.has_status and not subresource else ()


def _without(paths: FieldSet, tops: tuple[str, ...]) -> FieldSet:
    return {p for p in paths if p[0] not in tops} if tops else paths


def _difference(info: ResourceInfo, old: dict[str, Any], new: dict[str, Any], subresource: str) -> Comparison:
    found = compare(info.schema.shape, old, new)
    tops = _reset(info, subresource)
    return Comparison(_without(found.added, tops), _without(found.modified, tops), _without(found.removed, tops))


def _take_over(managed: Managed, owner: Owner, difference: Comparison) -> None:
    """Others lose what changed and what is gone."""
    changed = difference.added | difference.modified | difference.removed
    for other in managed.sets:
        if other != owner:
            managed.sets[other] = managed.sets[other] - changed


def server_side_apply(
    info: ResourceInfo,
    live: dict[str, Any] | None,
    config: dict[str, Any],
    *,
    manager: str,
    now: str,
    force: bool,
    subresource: str = "",
) -> dict[str, Any]:
    """The object after applying `config` as `manager`, with managedFields; `live` is None when it does not exist yet.

    The result still needs decoding and defaults. Inputs are not changed. Raises ApplyError and ApplyConflict.
    """
    if (config.get("metadata") or {}).get("managedFields"):
        raise ApplyError(400, "BadRequest", "metadata.managedFields must be nil")
    shape = info.schema.shape
    _check(info, shape, config)
    managed = Managed.decode((live or {}).get("metadata", {}).get("managedFields")) or Managed()
    base = _plain(live) if live is not None else _zero(info)
    if live is not None and not managed.sets:
        first = Owner(_BEFORE, "Update", info.group_version)
        found = _difference(info, _zero(info), base, "")
        managed.sets[first] = (found.added | found.modified) - _UNOWNED
        managed.times[first] = now
    owner = Owner(manager, "Apply", info.group_version, subresource)
    try:
        return _applied(info, shape, base, config, managed, owner, now, force, subresource)
    except ApplyConflict as conflict:
        if manager != "kubectl" or live is None:
            raise
        allowed = _last_applied(shape, base)
        rest = [c for c in conflict.conflicts if c[1] not in allowed]
        if rest:
            raise ApplyConflict(rest) from conflict
        return _applied(info, shape, base, config, managed, owner, now, True, subresource)


def _check(info: ResourceInfo, shape: Shape, config: dict[str, Any]) -> None:
    found = problems(shape, config)
    if not found:
        return
    meta = config.get("metadata") or {}
    where = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
    text = found[0] if len(found) == 1 else "errors:" + "".join(f"\n  {p}" for p in found)
    kind = f"{info.group}/{info.version}, Kind={info.kind}"
    raise ApplyError(500, "", f"failed to create typed patch object ({where}; {kind}): {text}")


def _applied(
    info: ResourceInfo,
    shape: Shape,
    base: dict[str, Any],
    config: dict[str, Any],
    before: Managed,
    owner: Owner,
    now: str,
    force: bool,
    subresource: str,
) -> dict[str, Any]:
    managed = before.copy()
    last = managed.sets.get(owner)
    tops = _reset(info, subresource)
    wanted = _without(field_set(shape, config), tops)
    managed.sets[owner] = wanted
    new: dict[str, Any] = merge(shape, base, config)
    if last:
        new = _prune(shape, new, managed, last)
    difference = _difference(info, base, new, subresource)
    changed = difference.added | difference.modified
    conflicts = [(other, path) for other, paths in managed.sets.items() if other != owner for path in paths & changed]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    _take_over(managed, owner, difference)
    managed.sets[owner] = wanted - _UNOWNED
    managed.times[owner] = now
    managed.drop_empty()
    managed.cap()
    meta = {k: v for k, v in (new.get("metadata") or {}).items() if k != "managedFields"}
    if owner.manager == "kubectl" and _LAST_APPLIED in (meta.get("annotations") or {}):
        meta["annotations"] = {**meta["annotations"], _LAST_APPLIED: _as_last_applied(config)}
    if managed.sets:
        meta["managedFields"] = managed.encode()
    return {**new, "metadata": meta}


def _prune(shape: Shape, merged: dict[str, Any], managed: Managed, last: FieldSet) -> dict[str, Any]:
    """Remove what the applier had owned, no longer wants, and nobody else owns."""
    last_all = with_named_ancestors(shape, last)
    pruned = remove(shape, merged, last_all)
    merged_set = with_named_ancestors(shape, field_set(shape, merged))
    owned: FieldSet = set()
    for paths in managed.sets.values():
        owned |= paths
    keep = with_named_ancestors(shape, field_set(shape, pruned)) | with_named_ancestors(shape, owned)
    pruned = remove(shape, merged, merged_set - keep)
    kept = with_named_ancestors(shape, field_set(shape, pruned))
    return remove(shape, merged, (merged_set - kept) & last_all)


def _as_last_applied(config: dict[str, Any]) -> str:
    """The annotation by which kubectl's client-side apply remembers a configuration."""
    import json

    meta = dict(config.get("metadata") or {})
    annotations = {k: v for k, v in (meta.pop("annotations", None) or {}).items() if k != _LAST_APPLIED}
    if annotations:
        meta["annotations"] = annotations
    return json.dumps({**config, "metadata": meta}, separators=(",", ":"), sort_keys=True, ensure_ascii=False) + "\n"


def _last_applied(shape: Shape, live: dict[str, Any]) -> FieldSet:
    """Fields that kubectl's client-side apply set and nobody changed since: kubectl may take them over."""
    import json

    text = (live.get("metadata", {}).get("annotations") or {}).get(_LAST_APPLIED)
    if not text:
        return set()
    try:
        applied = json.loads(text)
    except ValueError:
        return set()
    if not isinstance(applied, dict) or problems(shape, applied):
        return set()
    return field_set(shape, applied) - compare(shape, applied, live).modified
