"""Presets: what they fill in, and when they cannot."""

from typing import Any

import msgspec
import pytest

from kobune.api.kubevirt import VirtualMachineInstancePreset
from kobune.virt.admission.defaults.presets import PresetConflict, apply_presets


def preset(name: str, domain: dict[str, Any], labels: dict[str, str] | None = None) -> VirtualMachineInstancePreset:
    spec = {"selector": {"matchLabels": labels or {"app": "x"}}, "domain": {"devices": {}, **domain}}
    return msgspec.convert({"metadata": {"name": name}, "spec": spec}, VirtualMachineInstancePreset)


def instance(domain: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "i", "labels": {"app": "x"}, **metadata}, "spec": {"domain": domain or {}}}


def test_what_is_open_is_filled_in() -> None:
    obj = instance({"features": {"acpi": {"enabled": False}}})
    apply_presets(
        obj,
        [
            preset("a", {"resources": {"requests": {"memory": "1Gi"}}, "clock": {"utc": {}, "timer": {"hpet": {}}}}),
            preset("b", {"devices": {"watchdog": {"name": "w", "i6300esb": {"action": "reset"}}}}),
            preset("c", {"features": {"acpi": {"enabled": True}}}),
            preset("d", {"cpu": {"cores": 2}}, {"app": "y"}),
        ],
    )
    domain = obj["spec"]["domain"]
    assert domain["resources"] == {"requests": {"memory": "1Gi"}}
    assert domain["clock"] == {"utc": {}, "timer": {"hpet": {}}}
    assert domain["devices"]["watchdog"]["name"] == "w"
    assert domain["features"] == {"acpi": {"enabled": False}}
    assert "cpu" not in domain
    # Only those that had an effect are noted.
    assert sorted(obj["metadata"]["annotations"]) == [
        "virtualmachinepreset.kubevirt.io/a",
        "virtualmachinepreset.kubevirt.io/b",
    ]


def test_an_instance_can_be_left_alone() -> None:
    obj = instance(annotations={"virtualmachineinstancepresets.admission.kubevirt.io/exclude": "true"})
    apply_presets(obj, [preset("a", {"cpu": {"cores": 2}})])
    assert obj["spec"]["domain"] == {}


@pytest.mark.parametrize(
    ("one", "other", "word"),
    [
        ({"cpu": {"cores": 2}}, {"cpu": {"cores": 3}}, "spec.cpu"),
        (
            {"resources": {"requests": {"memory": "1Gi"}}},
            {"resources": {"requests": {"memory": "2Gi"}}},
            "spec.resources.requests[memory]: 2Gi != 1Gi",
        ),
        ({"clock": {"utc": {}}}, {"clock": {"timezone": "Europe/Berlin"}}, "spec.clock.clockoffset"),
        ({"clock": {"timer": {"hpet": {}}}}, {"clock": {"timer": {"rtc": {}}}}, "spec.clock.timer"),
    ],
)
def test_presets_that_exclude_each_other(one: dict[str, Any], other: dict[str, Any], word: str) -> None:
    with pytest.raises(PresetConflict) as caught:
        apply_presets(instance(), [preset("a", one), preset("b", other)])
    assert "presets 'b' and 'a' conflict" in str(caught.value)
    assert word in str(caught.value)
