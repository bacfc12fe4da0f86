"""ServiceAccount tokens: issuing (TokenRequest), verifying, the keys document of OpenID discovery.

Owns: the claims. A token is bound: it dies with its ServiceAccount, and with the Pod, Secret or Node it names.
"""

import base64
import hashlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.user import User, service_account_user

__all__ = ["AUDIENCE", "ServiceAccountTokens", "TokenRejected"]

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "https://kubernetes.default.svc"
_ALGORITHM = "ES256"
_BOUND_RESOURCES = {"Pod": "core/pods", "Secret": "core/secrets", "Node": "core/nodes"}


class TokenRejected(Exception):
    """The token is not good; the text says why, for logs and TokenReview."""


class ServiceAccountTokens:
    """Issues and verifies tokens with one key; `find(resource, namespace, name)` reads stored objects."""

    def __init__(self, key_file: Path, find: Callable[[str, str, str], Item | None]) -> None:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file} holds no elliptic curve key")
        self._key = key
        self._public = key.public_key()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        self._find = find
        self._verified: dict[str, dict[str, Any]] = {}

    def issue(
        self,
        namespace: str,
        name: str,
        uid: str,
        audiences: list[str],
        life_s: int,
        bound: tuple[str, str, str] | None = None,
        node: tuple[str, str] | None = None,
    ) -> tuple[str, int]:
        """(token, expiry as Unix seconds). `bound` is (kind, name, uid); `node` (name, uid) of a bound pod's node."""
        now = int(time.time())
        private: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if bound is not None:
            private[bound[0].lower()] = {"name": bound[1], "uid": bound[2]}
        if node is not None:
            private["node"] = {"name": node[0], "uid": node[1]}
        claims = {
            "aud": audiences,
            "exp": now + life_s,
            "iat": now,
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id}), now + life_s

    def verify(self, token: str, audiences: list[str]) -> tuple[User, list[str]]:
        """(user, the audiences that match). Raises TokenRejected."""
        claims = self._claims(token)
        now = time.time()
        if claims["exp"] <= now:
            raise TokenRejected("service account token has expired")
        if claims.get("nbf", 0) > now + 60:
            raise TokenRejected("service account token is not valid yet")
        matching = [audience for audience in claims["aud"] if audience in audiences]
        if not matching:
            raise TokenRejected(f"token audiences {claims['aud']!r} is invalid for the target audiences {audiences!r}")
        private = claims["kubernetes.io"]
        namespace, account = private["namespace"], private["serviceaccount"]
        self._alive("core/serviceaccounts", namespace, account["name"], account["uid"])
        extra: dict[str, tuple[str, ...]] = {"authentication.kubernetes.io/credential-id": (f"JTI={claims['jti']}",)}
        for kind, resource in _BOUND_RESOURCES.items():
            bound = private.get(kind.lower())
            if bound is None or (kind == "Node" and "pod" in private):
                continue
            self._alive(resource, "" if kind == "Node" else namespace, bound["name"], bound["uid"])
        for kind in ("pod", "node"):
            if kind in private:
                extra[f"authentication.kubernetes.io/{kind}-name"] = (private[kind]["name"],)
                extra[f"authentication.kubernetes.io/{kind}-uid"] = (private[kind]["uid"],)
        return service_account_user(namespace, account["name"], account["uid"], extra), matching

    def keys(self) -> dict[str, Any]:
        """The JSON Web Key Set."""
        numbers = self._public.public_numbers()

        def coordinate(value: int) -> str:
            return base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()

        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self._key_id,
            "crv": "P-256",
            "alg": _ALGORITHM,
            "x": coordinate(numbers.x),
            "y": coordinate(numbers.y),
        }
        return {"keys": [key]}

    @staticmethod
    def configuration() -> dict[str, Any]:
        """The OpenID provider document."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def _claims(self, token: str) -> dict[str, Any]:
        """Checked signature and issuer; remembered, because clients send the same token with every request."""
        claims = self._verified.get(token)
        if claims is None:
            try:
                claims = jwt.decode(
                    token,
                    self._public,
                    algorithms=[_ALGORITHM],
                    issuer=ISSUER,
                    options={"verify_exp": False, "verify_nbf": False, "verify_aud": False, "verify_iat": False},
                )
            except jwt.InvalidTokenError as error:
                raise TokenRejected(str(error)) from error
            if not isinstance(claims.get("aud"), list) or not isinstance(claims.get("kubernetes.io"), dict):
                raise TokenRejected("the token has not the claims of a service account token")
            if len(self._verified) >= 4096:
                self._verified.clear()
            self._verified[token] = claims
        return claims

    def _alive(self, resource: str, namespace: str, name: str, uid: str) -> None:
        item = self._find(resource, namespace, name)
        metadata = item.object()["metadata"] if item else {}
        if metadata.get("uid") != uid:
            raise TokenRejected(f"{resource} {namespace}/{name} that the token is bound to is gone")
