"""The resources that a CustomResourceDefinition serves, one per served version."""

import re
from collections.abc import Mapping
from typing import Any

from kobune.embedded.apiserver.schema.resource import ALL_VERBS, Column, ResourceInfo, ScaleInfo, SubresourceInfo
from kobune.embedded.apiserver.schema.structural import StructuralSchema, compile_schema

__all__ = ["Schemas", "resources", "version_priority"]

Schemas = Mapping[str, StructuralSchema]
"""The schemas of a definition by the names of all its versions, served or not."""

_VERSION = re.compile(r"^v(\d+)(?:(alpha|beta)(\d+))?$")
_STATUS_VERBS = ("get", "patch", "update")
_AGE = Column("Age", "date", ".metadata.creationTimestamp")


def version_priority(name: str) -> tuple[int, int, int, str]:
    """Sort key: stable versions first, then beta, then alpha, higher numbers first; other names last by alphabet."""
    found = _VERSION.match(name)
    if found is None:
        return (3, 0, 0, name)
    major, stage, minor = found.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), "")


def resources(crd: dict[str, Any], compiled: Schemas | None = None) -> tuple[ResourceInfo, ...]:
    """One ResourceInfo per served version, preferred version first. Uses status.acceptedNames where there are some.

    `compiled`: the schemas of all versions, where the definition comes without them.
    """
    spec = crd["spec"]
    names = spec["names"]
    accepted = (crd.get("status") or {}).get("acceptedNames") or {}
    storage = next((v["name"] for v in spec["versions"] if v.get("storage")), spec["versions"][0]["name"])
    compiled = compiled or {version["name"]: compile_schema(_schema_of(version)) for version in spec["versions"]}
    schemas = {f"{spec['group']}/{v['name']}": compiled[v["name"]] for v in spec["versions"] if v.get("served")}
    result = []
    for version in sorted(spec["versions"], key=lambda v: version_priority(v["name"])):
        if not version.get("served"):
            continue
        subresources, scale = _subresources(version, names["kind"])
        result.append(
            ResourceInfo(
                group=spec["group"],
                version=version["name"],
                plural=names["plural"],
                singular=names.get("singular") or names["kind"].lower(),
                kind=names["kind"],
                list_kind=names.get("listKind") or f"{names['kind']}List",
                namespaced=spec["scope"] == "Namespaced",
                schema=schemas[f"{spec['group']}/{version['name']}"],
                verbs=ALL_VERBS,
                short_names=tuple(accepted.get("shortNames") or names.get("shortNames") or ()),
                categories=tuple(accepted.get("categories") or names.get("categories") or ()),
                subresources=subresources,
                columns=_columns(version),
                selectable_fields=tuple(f["jsonPath"].lstrip(".") for f in version.get("selectableFields") or ()),
                scale=scale,
                storage_version=storage,
                custom=True,
                deprecated_warning=_deprecation(version, spec["group"], names["kind"]),
                extra={"schemas": schemas},
            )
        )
    return tuple(result)


def _schema_of(version: dict[str, Any]) -> dict[str, Any]:
    return (version.get("schema") or {}).get("openAPIV3Schema") or {"type": "object"}


def _subresources(version: dict[str, Any], kind: str) -> tuple[tuple[SubresourceInfo, ...], ScaleInfo | None]:
    given = version.get("subresources") or {}
    result = []
    if "status" in given:
        result.append(SubresourceInfo("status", kind, _STATUS_VERBS))
    scale = None
    if given.get("scale"):
        result.append(SubresourceInfo("scale", "Scale", _STATUS_VERBS, "autoscaling", "v1"))
        paths = given["scale"]
        scale = ScaleInfo(paths["specReplicasPath"], paths["statusReplicasPath"], paths.get("labelSelectorPath"))
    return tuple(result), scale


def _columns(version: dict[str, Any]) -> tuple[Column, ...]:
    given = version.get("additionalPrinterColumns")
    if not given:
        return (_AGE,)
    return tuple(
        Column(
            c["name"],
            c["type"],
            c["jsonPath"],
            c.get("format", ""),
            c.get("description", ""),
            c.get("priority", 0),
        )
        for c in given
    )


def _deprecation(version: dict[str, Any], group: str, kind: str) -> str | None:
    if not version.get("deprecated"):
        return None
    return str(version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated")
