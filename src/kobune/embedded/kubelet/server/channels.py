"""The websocket channel protocols of exec and attach. Pure framing.

Source: the subprotocols v4 and v5 .channel.k8s.io: the first byte of each binary message names a channel; the last
message on the error channel is a metav1.Status. Version 5 adds a message that closes one channel, to end the input.
"""

import json
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CHANNEL_PROTOCOLS",
    "CLOSE",
    "ERROR",
    "RESIZE",
    "STDERR",
    "STDIN",
    "STDOUT",
    "StreamOptions",
    "failure_status",
    "parse_resize",
    "status_for_exit",
]

V5 = "v5.channel.k8s.io"
CHANNEL_PROTOCOLS = (V5, "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Which streams the client wants; with a terminal, stderr comes on stdout."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def status_for_exit(exit_code: int) -> bytes:
    """The last message of a command that ended."""
    if exit_code == 0:
        return _encode({"metadata": {}, "status": "Success"})
    return _encode(
        {
            "metadata": {},
            "status": "Failure",
            "message": f"command terminated with non-zero exit code: exit status {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    )


def failure_status(message: str) -> bytes:
    """The last message when the command could not be run."""
    return _encode({"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500})


def parse_resize(payload: bytes) -> tuple[int, int] | None:
    """(width, height) in characters; None for a message that is damaged or absurd."""
    try:
        size: dict[str, Any] = json.loads(payload)
        width, height = int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    return (width, height) if 0 < width < 65536 and 0 < height < 65536 else None


def _encode(status: dict[str, Any]) -> bytes:
    return bytes([ERROR]) + json.dumps(status, separators=(",", ":")).encode()
