"""Instancetypes and preferences as virt-api meets them: for checking a machine, and for showing it expanded."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.conflicts import conflicts
from kobune.api.instancetype.expand import expand
from kobune.api.instancetype.requirements import shortage
from kobune.api.instancetype.topology import spread_problem
from kobune.virt.admission.defaults.instance import default_size
from kobune.virt.admission.review import Problem, Reason

__all__ = ["Sizes"]

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was found; `missing` is the answer of the API server about what was not."""

    instancetype: VirtualMachineInstancetypeSpec | None = None
    preference: VirtualMachinePreferenceSpec | None = None
    missing: str = ""

    def problems(self, template: Document) -> list[Problem]:
        """Fields that the machine's template gives and its instancetype decides, and vCPUs that cannot be spread."""
        if self.instancetype is None:
            return []
        if uneven := spread_problem(self.instancetype, self.preference):
            return [Problem("instancetype.spec.cpu.guest", Reason.INVALID, uneven)]
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        found = conflicts(template.get("spec") or {}, self.instancetype, annotations)
        paths = [path[1:] if path.startswith("/") else f"spec.template.spec.{path}" for path in found]
        message = f"VM field(s) {', '.join(paths)} conflicts with selected instance type"
        return [Problem(path, Reason.INVALID, message) for path in paths]

    def shortage(self, template_spec: Document) -> Problem | None:
        """What an expanded machine, with what is left open filled in, lacks of what its preference requires."""
        if self.preference is None or self.preference.requirements is None:
            return None
        filled = copy.deepcopy(template_spec)
        default_size(filled["domain"])
        found = shortage(filled, self.instancetype, self.preference)
        if found is None:
            return None
        message = f"failure checking preference requirements: {found.message}"
        return Problem(", ".join(found.fields), Reason.NOT_FOUND, message)

    def expand(self, machine: Document) -> Document:
        """The machine with both applied to its template; the matchers stay."""
        if self.instancetype is None and self.preference is None:
            return machine
        expanded = copy.deepcopy(machine)
        template = expanded["spec"]["template"]
        metadata = template.setdefault("metadata", {})
        theirs = [decided.annotations for decided in (self.preference, self.instancetype) if decided is not None]
        metadata["annotations"] = {**_merged(theirs), **(metadata.get("annotations") or {})}
        template["spec"] = expand(template.get("spec") or {}, self.instancetype, self.preference)
        return expanded


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for part in parts for key, value in part.items()}
