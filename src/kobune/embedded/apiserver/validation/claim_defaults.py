"""Defaults of claims, which StatefulSets have templates of. Pure."""

from typing import Any

__all__ = ["default_claim"]

_CLAIM_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))


def _claim_sources(spec: dict[str, Any]) -> None:
    """dataSource and dataSourceRef say the same; a dataSource of a kind nobody populates from is dropped."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and reference is None and (source.get("apiGroup") or "", source.get("kind")) not in _CLAIM_SOURCES:
        del spec["dataSource"]
    elif source and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference and source is None and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def default_claim(obj: dict[str, Any]) -> None:
    """Fill in what a claim leaves out."""
    _claim_sources(obj.setdefault("spec", {}))
    obj["spec"].setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")
