"""Instancetypes and preferences as virt-api meets them: for checking a machine, and for showing it expanded."""

import copy
from dataclasses import dataclass
from typing import Any

from kobune.api.instancetype import VirtualMachineInstancetypeSpec, VirtualMachinePreferenceSpec
from kobune.api.instancetype.expand import conflicts, expand
from kobune.virt.admission.review import Problem, Reason

__all__ = ["Sizes"]

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What was found; `missing` is the answer of the API server about what was not."""

    instancetype: VirtualMachineInstancetypeSpec | None = None
    preference: VirtualMachinePreferenceSpec | None = None
    missing: str = ""

    def problems(self, template_spec: Document) -> list[Problem]:
        """Fields that the machine gives and its instancetype decides."""
        if self.instancetype is None:
            return []
        paths = [f"spec.template.spec.{path}" for path in conflicts(template_spec, self.instancetype)]
        message = f"VM field(s) {', '.join(paths)} conflicts with selected instance type"
        return [Problem(path, Reason.INVALID, message) for path in paths]

    def expand(self, machine: Document) -> Document:
        """The machine with both applied to its template; the matchers stay."""
        if self.instancetype is None and self.preference is None:
            return machine
        expanded = copy.deepcopy(machine)
        template = expanded["spec"]["template"]
        template["spec"] = expand(template.get("spec") or {}, self.instancetype, self.preference)
        return expanded
