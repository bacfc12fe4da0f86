"""Defaults of VirtualMachines: little, so that what a user wrote stays what is stored; the instance gets the rest."""

import uuid
from typing import Any, Final

import msgspec

from kobune.api.instancetype import VirtualMachinePreferenceSpec
from kobune.api.instancetype.prefer import prefer_platform
from kobune.virt.admission.defaults.instance import annotate_template, default_platform
from kobune.virt.admission.review import Problem, Reason, Verdict

__all__ = ["check_matcher_update", "check_matchers", "default_machine"]

Document = dict[str, Any]

_MATCHERS: Final = ("instancetype", "preference")


def default_machine(
    obj: Document,
    *,
    new_uuid: uuid.UUID | None,
    new_serial: uuid.UUID | None,
    preference: VirtualMachinePreferenceSpec | None = None,
) -> None:
    """Fill in a VirtualMachine; the uuids are given when it is being created."""
    template = obj["spec"]["template"]
    annotate_template(template)
    spec = template["spec"]
    if preference is not None:
        prefer_platform(spec, msgspec.to_builtins(preference))
        _prefer_storage_class(obj["spec"], preference)
    default_platform(spec)
    if new_uuid is not None and new_serial is not None:
        firmware = spec["domain"].setdefault("firmware", {})
        firmware.setdefault("uuid", str(new_uuid))
        firmware.setdefault("serial", str(new_serial))


def _prefer_storage_class(spec: Document, preference: VirtualMachinePreferenceSpec) -> None:
    wanted = preference.volumes.preferred_storage_class_name if preference.volumes is not None else None
    for template in (spec.get("dataVolumeTemplates") or ()) if wanted else ():
        for name in ("pvc", "storage"):
            claim = (template.get("spec") or {}).get(name)
            if claim is not None and claim.get("storageClassName") is None:
                claim["storageClassName"] = wanted


def check_matcher_update(old: Document, new: Document) -> Verdict:
    """A matcher that is pinned to a revision keeps its name, or names another revision."""
    for word in _MATCHERS:
        was, is_ = old.get(word) or {}, new.get(word) or {}
        if not was or not is_ or not was.get("revisionName"):
            continue
        if was.get("name") != is_.get("name") and was["revisionName"] == is_.get("revisionName"):
            message = "the Matcher Name has been updated without updating the RevisionName"
            return Verdict((Problem(f"spec.{word}.revisionName", Reason.INVALID, message),))
    return Verdict()


def check_matchers(spec: Document) -> Verdict:
    """Whether `instancetype` and `preference` say exactly one thing; what is wrong with the first that doesn't."""
    for name, kind in (("instancetype", "Instancetype"), ("preference", "Preference")):
        problems = _matcher(f"spec.{name}", kind, spec.get(name))
        if problems:
            return Verdict(tuple(problems))
    return Verdict()


def _matcher(path: str, kind: str, matcher: Document | None) -> list[Problem]:
    if matcher is None:
        return []
    problems = []
    wanted, inferred = matcher.get("name"), matcher.get("inferFromVolume")
    if not wanted and not inferred:
        message = f"Either Name or InferFromVolume should be provided within the {kind}Matcher"
        problems.append(Problem(path, Reason.NOT_FOUND, message))
    if wanted and inferred:
        message = "Name already set, should be cleared before setting inferFromVolume"
        problems.append(Problem(f"{path}.name", Reason.NOT_SUPPORTED, message))
    if inferred and matcher.get("kind"):
        message = "Kind already set, should be cleared before setting inferFromVolume"
        problems.append(Problem(f"{path}.kind", Reason.NOT_SUPPORTED, message))
    policy = matcher.get("inferFromVolumeFailurePolicy")
    if policy not in (None, "", "Ignore", "Reject"):
        message = f"Invalid value '{policy}' for InferFromVolumeFailurePolicy"
        problems.append(Problem(f"{path}.inferFromVolumeFailurePolicy", Reason.INVALID, message))
    return problems
