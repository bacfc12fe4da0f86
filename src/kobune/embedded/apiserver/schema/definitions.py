"""The OpenAPI definitions of the built-in kinds, read from the data of the kubernetes-validate package.

Owns: finding and lazily decoding them. A release's file is 1.5 MB; only an index of places in it is kept (made in a
few milliseconds), and a definition is read and decoded when something first needs it. Must not import the
package itself: only its data is used.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["META", "VERSION", "definition", "names", "ref_name"]

VERSION = "v1.33.0"
"""The Kubernetes release whose API is served."""

META = "io.k8s.apimachinery.pkg.apis.meta.v1."


class _File(msgspec.Struct, frozen=True, rename={"defs": "$defs"}):
    defs: dict[str, msgspec.Raw]


@cache
def _file() -> Path:
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the kubernetes-validate package is not installed: its data holds the built-in schemas")
    folder = Path(next(iter(spec.submodule_search_locations))) / "kubernetes-json-schema" / f"{VERSION}-local"
    return folder / "_definitions.json"


@cache
def _index() -> dict[str, tuple[int, int]]:
    """Where each definition stands: (offset, bytes)."""
    content, places, position = _file().read_bytes(), {}, 0
    for name, raw in msgspec.json.decode(content, type=_File).defs.items():
        text = bytes(raw)
        position = content.index(text, position)
        places[name] = (position, len(text))
        position += len(text)
    return places


def _raw(name: str) -> bytes:
    offset, length = _index()[name]
    with _file().open("rb") as file:
        file.seek(offset)
        return file.read(length)


def names() -> list[str]:
    """All definitions of the release."""
    return list(_index())


@cache
def definition(name: str) -> dict[str, Any]:
    """One definition, with `type: [T, "null"]` reduced to T. Callers must not change it.

    Raises KeyError when the release has none of that name.
    """
    decoded = _clean(msgspec.json.decode(_raw(name)))
    assert isinstance(decoded, dict)
    if "x-kubernetes-group-version-kind" in decoded:
        # The package adds these enums for its own purpose; a server's documents do not have them.
        for field in ("apiVersion", "kind"):
            (decoded.get("properties") or {}).get(field, {}).pop("enum", None)
    return decoded


def ref_name(schema: dict[str, Any]) -> str | None:
    """The definition that a schema points at, if it is a reference."""
    ref = schema.get("$ref")
    return ref.rsplit("/", 1)[-1] if isinstance(ref, str) else None


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        result = {k: _clean(v) for k, v in value.items()}
        kinds = result.get("type")
        if isinstance(kinds, list):
            result["type"] = next(k for k in kinds if k != "null")
        return result
    if isinstance(value, list):
        return [_clean(v) for v in value]
    return value
