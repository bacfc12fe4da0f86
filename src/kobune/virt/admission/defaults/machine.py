"""Defaults of VirtualMachines: little, so that what a user wrote stays what is stored; the instance gets the rest."""

import uuid
from typing import Any

from kobune.virt.admission.defaults.instance import annotate_template, default_platform
from kobune.virt.admission.review import Problem, Reason, Verdict

__all__ = ["check_matchers", "default_machine"]

Document = dict[str, Any]


def default_machine(obj: Document, *, new_uuid: uuid.UUID | None, new_serial: uuid.UUID | None) -> None:
    """Fill in a VirtualMachine; the uuids are given when it is being created."""
    template = obj["spec"]["template"]
    annotate_template(template)
    spec = template["spec"]
    default_platform(spec)
    if new_uuid is not None and new_serial is not None:
        firmware = spec["domain"].setdefault("firmware", {})
        firmware.setdefault("uuid", str(new_uuid))
        firmware.setdefault("serial", str(new_serial))


def check_matchers(spec: Document) -> Verdict:
    """Whether `instancetype` and `preference` say exactly one thing."""
    for name, kind in (("instancetype", "Instancetype"), ("preference", "Preference")):
        matcher = spec.get(name)
        if matcher is None:
            continue
        path = f"spec.{name}"
        wanted, inferred = matcher.get("name"), matcher.get("inferFromVolume")
        if not wanted and not inferred:
            message = f"Either Name or InferFromVolume should be provided within the {kind}Matcher"
            return Verdict((Problem(path, Reason.NOT_FOUND, message),))
        if wanted and inferred:
            message = "Name already set, should be cleared before setting inferFromVolume"
            return Verdict((Problem(f"{path}.name", Reason.NOT_SUPPORTED, message),))
        policy = matcher.get("inferFromVolumeFailurePolicy")
        if policy not in (None, "", "Ignore", "Reject"):
            message = f"Invalid value '{policy}' for InferFromVolumeFailurePolicy"
            return Verdict((Problem(f"{path}.inferFromVolumeFailurePolicy", Reason.INVALID, message),))
        if inferred and (refused := _not_inferable(spec, inferred)) and policy != "Ignore":
            return Verdict(message=refused)
    return Verdict()


def _not_inferable(spec: Document, name: str) -> str:
    """Why a volume cannot tell what it wants; empty when it can."""
    volumes = spec["template"]["spec"].get("volumes") or ()
    volume = next((item for item in volumes if item.get("name") == name), None)
    if volume is None:
        return f"unable to find volume {name} to infer defaults"
    if volume.get("persistentVolumeClaim") is None and volume.get("dataVolume") is None:
        return f"unable to infer defaults from volume {name} as type is not supported"
    return ""
