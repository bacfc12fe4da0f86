"""How a patch fails.

Owns: the one error type of this package. Its fields are what the Status answer needs.
"""

from kobune.base.errors import TerminalError

__all__ = ["PatchError"]


class PatchError(TerminalError):
    """The patch can't be applied: answer `code` with `reason` ("" for the plain 500 of an internal error)."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message

    @classmethod
    def rejected(cls) -> "PatchError":
        """A JSON patch that does not fit the document: the real server does not say why."""
        return cls(422, "Invalid", "the server rejected our request due to an error in our request")

    @classmethod
    def malformed(cls, message: str) -> "PatchError":
        """The patch is no patch."""
        return cls(400, "BadRequest", message)
