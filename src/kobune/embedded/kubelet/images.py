"""Makes images present on the node, by pull policy and with the pod's pull secrets. One pull per image at a time."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import Collection, Sequence

from kobune.api.core import Secret
from kobune.base.errors import KobuneError
from kobune.host.cri import cri_pb2 as pb
from kobune.host.cri.types import CriError, CriRuntime, ImageInfo, ImageNotFound

__all__ = ["ImageError", "Images", "default_policy", "registry_auth"]

_LOG = logging.getLogger(__name__)
PULL_TIMEOUT_S = 1800.0
NEVER = "Never"
IF_NOT_PRESENT = "IfNotPresent"
ALWAYS = "Always"


class ImageError(KobuneError):
    """The image is not here. `reason` is Kubernetes' word for a waiting container."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Images:
    """Images of this node. `preloaded` are full references that are never pulled again once they are here."""

    def __init__(self, cri: CriRuntime, preloaded: Collection[str] = ()) -> None:
        self._cri = cri
        self._preloaded = frozenset(preloaded)
        self._locks: dict[str, asyncio.Lock] = {}

    async def find(self, reference: str) -> ImageInfo | None:
        """The image if the node has it."""
        try:
            return await self._cri.image(reference)
        except ImageNotFound:
            return None

    async def ensure(self, reference: str, policy: str, secrets: Sequence[Secret]) -> tuple[ImageInfo, float | None]:
        """The image, pulled if the policy says so, and how many seconds the pull took (None: it was here).

        Raises ImageError with the reasons ErrImagePull, ErrImageNeverPull or InvalidImageName.
        """
        if not reference:
            raise ImageError("InvalidImageName", "Failed to apply default image tag: the image's name is empty")
        policy = policy or default_policy(reference)
        async with self._locks.setdefault(reference, asyncio.Lock()):
            found = await self.find(reference)
            # What was put on the node with its software is as new as it gets, and no registry may replace it.
            if found is not None and (policy != ALWAYS or not self._preloaded.isdisjoint(found.tags)):
                return found, None
            if policy == NEVER:
                message = f'Container image "{reference}" is not present with pull policy of Never'
                raise ImageError("ErrImageNeverPull", message)
            started = time.monotonic()
            await self._pull(reference, secrets)
            found = await self.find(reference)
            if found is None:
                raise ImageError("ErrImagePull", f"image {reference} was pulled and is not here")
            return found, time.monotonic() - started

    async def _pull(self, reference: str, secrets: Sequence[Secret]) -> None:
        candidates = registry_auth(reference, secrets) or [None]
        failure: CriError | None = None
        for auth in candidates:
            try:
                await self._cri.pull_image(reference, auth, PULL_TIMEOUT_S)
            except CriError as error:
                failure = error
            else:
                return
        assert failure is not None
        raise ImageError("ErrImagePull", failure.message)


def default_policy(reference: str) -> str:
    """Always for `latest` or no tag, else IfNotPresent."""
    name = reference.rpartition("/")[2]
    if "@" in name:
        return IF_NOT_PRESENT
    tag = name.partition(":")[2]
    return ALWAYS if tag in ("", "latest") else IF_NOT_PRESENT


def registry_auth(reference: str, secrets: Sequence[Secret]) -> list[pb.AuthConfig | None]:
    """Credentials of pull secrets that are for the image's registry.

    Source: Secrets of type kubernetes.io/dockerconfigjson: a Docker client configuration, `auths` by registry.
    """
    registry, slash, _ = reference.partition("/")
    if not slash or ("." not in registry and ":" not in registry and registry != "localhost"):
        registry = "docker.io"
    found: list[pb.AuthConfig | None] = []
    for secret in secrets:
        document = secret.data.get(".dockerconfigjson")
        if document is None:
            continue
        try:
            auths = json.loads(base64.b64decode(document)).get("auths", {})
        except ValueError:
            _LOG.warning("pull secret %s holds no Docker configuration", secret.metadata.name)
            continue
        for server, entry in auths.items():
            host = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
            if host.removeprefix("index.") == registry:
                found.append(_auth(entry))
    return found


def _auth(entry: dict[str, str]) -> pb.AuthConfig:
    username, password = entry.get("username", ""), entry.get("password", "")
    if entry.get("auth"):
        username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return pb.AuthConfig(username=username, password=password, identity_token=entry.get("identitytoken", ""))
