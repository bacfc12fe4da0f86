"""CustomResourceDefinitions of every kind that Kobune defines, and of those it borrows from other projects."""

from typing import Any

from kobune.api.crd.companions import COMPANIONS
from kobune.api.crd.kubevirt_kinds import KUBEVIRT
from kobune.api.crd.model import Column, Definition
from kobune.api.crd.other_kinds import OTHERS
from kobune.api.crd.schema import structural_schema

__all__ = ["all_definitions", "companion_definitions", "definition_of"]

CustomResource = dict[str, Any]


def all_definitions() -> list[CustomResource]:
    """Every CustomResourceDefinition of Kobune's own kinds, ready to be applied."""
    return [definition_of(definition) for definition in (*KUBEVIRT, *OTHERS)]


def companion_definitions() -> list[CustomResource]:
    """CustomResourceDefinitions of other projects' kinds, for a cluster that nobody else installs them on."""
    return [definition_of(definition) for definition in COMPANIONS]


def definition_of(definition: Definition) -> CustomResource:
    """Render one CustomResourceDefinition (apiextensions.k8s.io/v1)."""
    names: dict[str, Any] = {
        "kind": definition.kind,
        "listKind": f"{definition.kind}List",
        "plural": definition.plural,
        "singular": definition.singular or definition.kind.lower(),
    }
    if definition.short_names:
        names["shortNames"] = list(definition.short_names)
    if definition.categories:
        names["categories"] = list(definition.categories)
    metadata: dict[str, Any] = {
        "name": f"{definition.plural}.{definition.group}",
        "labels": {"app.kubernetes.io/part-of": "kobune"},
    }
    if definition.annotations:
        metadata["annotations"] = dict(definition.annotations)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": definition.group,
            "names": names,
            "scope": "Namespaced" if definition.namespaced else "Cluster",
            "versions": [
                _version(definition, version, stored=version == definition.versions[0])
                for version in definition.versions
            ],
        },
    }


def _version(definition: Definition, name: str, *, stored: bool) -> dict[str, Any]:
    subresources: dict[str, Any] = {}
    if definition.status:
        subresources["status"] = {}
    if definition.scale_selector:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": definition.scale_selector,
        }
    version: dict[str, Any] = {
        "name": name,
        "served": True,
        "storage": stored,
        "schema": {"openAPIV3Schema": structural_schema(definition.type)},
    }
    if (warning := dict(definition.deprecations).get(name)) is not None:
        version["deprecated"] = True
        version["deprecationWarning"] = warning
    if subresources:
        version["subresources"] = subresources
    if definition.columns:
        version["additionalPrinterColumns"] = [_column(column) for column in definition.columns]
    return version


def _column(column: Column) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.priority:
        rendered["priority"] = column.priority
    return rendered
