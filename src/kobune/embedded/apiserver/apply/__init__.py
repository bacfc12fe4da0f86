"""Field ownership: managedFields of updates, server-side apply with its conflicts."""

from kobune.embedded.apiserver.apply.engine import ApplyConflict, ApplyError, server_side_apply, update_managed
from kobune.embedded.apiserver.apply.fields import format_path

__all__ = ["ApplyConflict", "ApplyError", "format_path", "server_side_apply", "update_managed"]
