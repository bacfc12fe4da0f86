"""What a streaming subresource is asked for, as an object: PodExecOptions and its kin, read from the query.

Owns: the options kinds of core/v1 and their admission: hooks and policies see such an object with the operation
CONNECT, and what a mutating hook made of it is what happens.
"""

from typing import Any

from kobune.embedded.apiserver.rest.call import Call

__all__ = ["connect"]

_STREAMS = ("stdin", "stdout", "stderr", "tty")
_FLAGS = {"PodExecOptions": _STREAMS, "PodAttachOptions": _STREAMS}


async def connect(call: Call) -> dict[str, Any]:
    """The admitted options object of the call's subresource. Raises StatusError."""
    declared = next(s for s in call.resource.info.subresources if s.name == call.info.subresource)
    options = _options(call, declared.kind)
    call.body_kind = ("", "v1", declared.kind)
    await call.services.admission.review(call, "CONNECT", options)
    return options


def _options(call: Call, kind: str) -> dict[str, Any]:
    query = call.request.query
    options: dict[str, Any] = {"kind": kind, "apiVersion": "v1"}
    # Any value means yes, an empty one included, but for these two.
    options |= {name: True for name in _FLAGS.get(kind, ()) if query.get(name, ["0"])[0] not in ("0", "false")}
    match kind:
        case "PodExecOptions" | "PodAttachOptions":
            if container := call.request.option("container"):
                options["container"] = container
            if kind == "PodExecOptions":
                options["command"] = query.get("command")
        case "PodPortForwardOptions":
            ports = [int(port) for value in query.get("ports", ()) for port in value.split(",") if port.isdigit()]
            if ports:
                options["ports"] = ports
        case _:
            path = "/".join(call.info.rest)
            options["path"] = f"/{path}" if path and not path.startswith("/") else path
            if call.request.path.endswith("/") and not options["path"].endswith("/"):
                options["path"] += "/"
            if not options["path"]:
                del options["path"]
    return options
