"""JSON patch, JSON merge patch and strategic merge patch as pure functions on JSON values."""

from kobune.embedded.apiserver.patch.errors import PatchError
from kobune.embedded.apiserver.patch.jsonpatch import json_patch
from kobune.embedded.apiserver.patch.merge import merge_patch
from kobune.embedded.apiserver.patch.strategic import strategic_merge_patch

__all__ = ["PatchError", "json_patch", "merge_patch", "strategic_merge_patch"]
