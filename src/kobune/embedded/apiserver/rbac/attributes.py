"""What is asked of the authorizer."""

from dataclasses import dataclass

from kobune.embedded.apiserver.user import User

__all__ = ["Attributes"]


@dataclass(frozen=True, slots=True)
class Attributes:
    """One question. For a path outside of the API, `resource` is empty and `path` is set."""

    user: User
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""
    field_selector: str = ""
    """Of list, watch and deletecollection, as the client wrote it."""
