"""Tables: what kubectl get prints, rendered by the server."""

from kobune.embedded.apiserver.table.jsonpath import JsonPathError, evaluate, parse
from kobune.embedded.apiserver.table.render import partial_metadata, render

__all__ = ["JsonPathError", "evaluate", "parse", "partial_metadata", "render"]
