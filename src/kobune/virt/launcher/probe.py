"""Probes of the guest through its agent, as a command for the kubelet's exec probes.

`python3 -sPm kobune.virt.launcher.probe --timeout-s 5 --guest-agent-ping`
`python3 -sPm kobune.virt.launcher.probe --timeout-s 5 --exec -- cat /tmp/healthy`

Exit status 0: the guest answered, or the program ended with 0; 1 otherwise, with one line that says why.
It runs every few seconds in every probed VM, so that it uses neither asyncio nor msgspec: a third of the start time.
"""

import argparse
import json
import socket
import sys
from typing import Any

SOCKET_PATH = "/var/run/kubevirt/sockets/launcher.sock"

__all__ = ["main"]


def main(arguments: list[str] | None = None, path: str = SOCKET_PATH) -> int:
    """Ask the launcher once; the exit status."""
    parser = argparse.ArgumentParser(prog="virt-probe", allow_abbrev=False)
    parser.add_argument("--timeout-s", type=float, default=1.0)
    parser.add_argument("--guest-agent-ping", action="store_true")
    parser.add_argument("--exec", action="store_true", help="run the program after -- in the guest")
    parser.add_argument("program", nargs="*")
    options = parser.parse_args(arguments)
    if options.guest_agent_ping == bool(options.exec and options.program):
        parser.error("one of --guest-agent-ping and --exec -- PROGRAM is needed")
    command: dict[str, Any] = {"command": "guestPing"}
    if options.exec:
        command = {"command": "guestExec", "program": options.program, "timeoutS": options.timeout_s}
    try:
        result = _ask(path, command, options.timeout_s)
    except (OSError, ValueError) as error:
        print(f"the launcher does not answer: {error}", file=sys.stderr)  # noqa: T201 - the kubelet shows it
        return 1
    if result.get("result") == "failure":
        print(result.get("message", ""), file=sys.stderr)  # noqa: T201
        return 1
    status = int(result.get("exitStatus", 0))
    if status != 0:
        print(result.get("stderr") or f"exit status {status}", file=sys.stderr)  # noqa: T201
    return 0 if status == 0 else 1


def _ask(path: str, command: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s + 1.0)
        connection.connect(path)
        lines = connection.makefile("rwb")
        lines.readline()  # Hello
        lines.write(json.dumps({"id": 1, "command": command}).encode() + b"\n")
        lines.flush()
        answer = json.loads(lines.readline() or b"{}")
    result: dict[str, Any] = answer.get("result") or {}
    if not result:
        raise ValueError("the connection was closed")
    return result


if __name__ == "__main__":
    sys.exit(main())
