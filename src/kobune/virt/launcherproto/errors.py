"""What can go wrong on the line between virt-handler and virt-launcher, seen from virt-handler."""

from kobune.base.errors import KobuneError, RetryableError, TerminalError
from kobune.virt.launcherproto.messages import ErrorCode, Failure
from kobune.virt.launcherproto.text import MAX_MESSAGE, readable

__all__ = [
    "CommandFailed",
    "ConnectionLost",
    "ProtocolViolation",
    "RetryableFailure",
    "TerminalFailure",
    "failure_error",
]


class ConnectionLost(RetryableError):
    """Nobody answers on the socket: the launcher is starting, was restarted, or is gone. Connect again."""


class ProtocolViolation(TerminalError):
    """The peer sent something that is no message of this protocol. `line` is what it sent, where there is a line."""

    def __init__(self, message: str, line: bytes = b"") -> None:
        super().__init__(message)
        self.line = line


class CommandFailed(KobuneError):
    """The launcher answered with a failure. Always one of the two types below."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(readable(failure.message, MAX_MESSAGE))
        self.code: ErrorCode = failure.code
        self.field = readable(failure.field, MAX_MESSAGE)


class RetryableFailure(CommandFailed, RetryableError):
    """The same command may succeed later."""


class TerminalFailure(CommandFailed, TerminalError):
    """The same command will fail again until the VMI or the domain's state changes."""


def failure_error(failure: Failure) -> CommandFailed:
    """The exception for a failure."""
    return RetryableFailure(failure) if failure.code.retryable else TerminalFailure(failure)
