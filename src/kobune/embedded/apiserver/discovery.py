"""Discovery: /api, /apis, a group, a group version; and the aggregated document of both roots.

Owns: the documents, cached per registry generation. What other servers tell about their groups is in `aggregation`.
"""

import hashlib
from typing import Any

import msgspec

from kobune.embedded.apiserver.registry.registry import Registry, Resource
from kobune.embedded.apiserver.schema.resource import ResourceInfo

__all__ = ["Discovery"]


class Discovery:
    """Builds the documents from the registry."""

    def __init__(self, registry: Registry, address: str) -> None:
        self._registry = registry
        self._address = address

    def versions(self) -> dict[str, Any]:
        """/api."""
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}],
        }

    def groups(self) -> dict[str, Any]:
        """/apis."""
        groups = [self._group(name) for name in self._registry.groups() if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def group(self, name: str) -> dict[str, Any] | None:
        """/apis/GROUP."""
        if name not in self._registry.groups():
            return None
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group(name)}

    def _group(self, name: str) -> dict[str, Any]:
        versions = [{"groupVersion": f"{name}/{v}", "version": v} for v in self._registry.versions(name)]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def resources(self, group: str, version: str) -> dict[str, Any] | None:
        """/api/v1 or /apis/GROUP/VERSION."""
        found = self._registry.resources(group, version)
        if not found:
            return None
        return {
            "kind": "APIResourceList",
            **({"apiVersion": "v1"} if group else {}),
            "groupVersion": f"{group}/{version}" if group else version,
            "resources": [entry for resource in found for entry in _entries(resource)],
        }

    def aggregated(self, *, core: bool, extra: list[dict[str, Any]] | None = None) -> tuple[dict[str, Any], str]:
        """(APIGroupDiscoveryList v2 of /api or /apis, its ETag). `extra` are group versions of other servers."""
        items: list[dict[str, Any]] = []
        for group in self._registry.groups():
            if (group == "") is not core:
                continue
            versions = []
            for version in self._registry.versions(group):
                resources = [_aggregated(resource) for resource in self._registry.resources(group, version)]
                other = next((e for e in extra or () if e["group"] == group and e["version"] == version), None)
                if other is not None:
                    versions.append(other["discovery"])
                elif resources or self._registry.aggregated(group, version) is None:
                    versions.append({"version": version, "resources": resources, "freshness": "Current"})
            if versions:
                metadata = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
                items.append({"metadata": metadata, "versions": versions})
        document = {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }
        tag = hashlib.sha256(msgspec.json.encode(document)).hexdigest().upper()
        return document, tag


def _entries(resource: Resource) -> list[dict[str, Any]]:
    info = resource.info
    entry: dict[str, Any] = {
        "name": info.plural,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": sorted(info.verbs),
    }
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    if info.stored:
        identity = f"{info.group}/{info.storage_version or info.version}/{info.kind}"
        entry["storageVersionHash"] = (
            msgspec.json.encode(hashlib.sha512(identity.encode()).digest()[:8]).decode().strip('"')
        )
    entries = [entry]
    for sub in sorted(info.subresources, key=lambda s: s.name):
        item: dict[str, Any] = {
            "name": f"{info.plural}/{sub.name}",
            "singularName": "",
            "namespaced": info.namespaced,
        }
        if sub.version is not None:
            item["group"] = sub.group or ""
            item["version"] = sub.version
        item["kind"] = sub.kind
        item["verbs"] = sorted(sub.verbs)
        entries.append(item)
    return entries


def _response_kind(info: ResourceInfo, group: str, version: str, kind: str) -> dict[str, str]:
    """Built-in groups leave out what equals the group version itself; custom ones spell it out."""
    if not info.custom and (group, version) == (info.group, info.version):
        group = version = ""
    return {"group": group, "version": version, "kind": kind}


def _aggregated(resource: Resource) -> dict[str, Any]:
    info = resource.info
    entry: dict[str, Any] = {
        "resource": info.plural,
        "responseKind": _response_kind(info, info.group, info.version, info.kind),
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": sorted(info.verbs),
    }
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    if info.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(
                    info,
                    sub.group or "" if sub.version is not None else info.group,
                    sub.version or info.version,
                    sub.kind,
                ),
                "verbs": sorted(sub.verbs),
            }
            for sub in sorted(info.subresources, key=lambda s: s.name)
        ]
    return entry
