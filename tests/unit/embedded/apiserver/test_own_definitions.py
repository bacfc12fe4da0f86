"""The definitions that Kobune installs are accepted by its own API server, rules and their estimated cost included."""

from typing import Any

import pytest

from kobune.embedded.apiserver.crd.validate import default_crd, prepare_crd, validate_crd
from kobune.operator.manifests import base_manifests

DEFINITIONS = [
    manifest for manifest in base_manifests(companions=True) if manifest["kind"] == "CustomResourceDefinition"
]


def test_there_are_definitions() -> None:
    assert "virtualmachines.kubevirt.io" in {crd["metadata"]["name"] for crd in DEFINITIONS}


@pytest.mark.parametrize("crd", DEFINITIONS, ids=lambda crd: str(crd["metadata"]["name"]))
def test_a_definition_of_ours_is_accepted(crd: dict[str, Any]) -> None:
    prepare_crd(crd, None)
    default_crd(crd)
    prepare_crd(crd, None)
    assert validate_crd(crd) == []
