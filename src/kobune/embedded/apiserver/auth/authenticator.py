"""From a request to a user: bearer token, else client certificate, else anonymous; then impersonation."""

import hmac
import re
import time
from urllib.parse import unquote

from kobune.embedded.apiserver.auth.tokens import AUDIENCE, ServiceAccountTokens, TokenRejected
from kobune.embedded.apiserver.http.message import Request
from kobune.embedded.apiserver.rbac.attributes import Attributes
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.status import StatusError, bad_request, unauthorized
from kobune.embedded.apiserver.user import ALL_AUTHENTICATED, ANONYMOUS, User, service_account_user

__all__ = ["Authenticator"]

_SERVICE_ACCOUNT = re.compile(r"^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$")


class Authenticator:
    """`static_tokens` are compared in constant time; a token comes before a certificate."""

    def __init__(self, static_tokens: dict[str, User], tokens: ServiceAccountTokens, authorizer: Authorizer) -> None:
        self._static = [(token.encode(), user) for token, user in static_tokens.items()]
        self._tokens = tokens
        self._authorizer = authorizer
        self._certificate_users: dict[tuple[str, tuple[str, ...]], User] = {}

    def authenticate(self, request: Request) -> User:
        """The real user of a request. Raises StatusError 401 for credentials that are wrong."""
        header = request.headers.get("authorization", "")
        if header[:7].lower() == "bearer " and header[7:].strip():
            return self.authenticate_token(header[7:].strip(), [AUDIENCE])[0]
        if request.headers.get("sec-websocket-protocol", "").find("base64url.bearer.authorization.k8s.io.") >= 0:
            token = _websocket_token(request.headers["sec-websocket-protocol"])
            if token:
                return self.authenticate_token(token, [AUDIENCE])[0]
        peer = request.peer
        if peer.common_name:
            if peer.expires <= time.time():
                raise unauthorized()
            key = (peer.common_name, peer.organizations)
            user = self._certificate_users.get(key)
            if user is None:
                user = User(peer.common_name, (*peer.organizations, ALL_AUTHENTICATED))
                self._certificate_users[key] = user
            return user
        return ANONYMOUS

    def authenticate_token(self, token: str, audiences: list[str]) -> tuple[User, list[str]]:
        """(user, matching audiences) of a bearer token. Raises StatusError 401."""
        encoded = token.encode("utf-8", "replace")
        for known, user in self._static:
            if hmac.compare_digest(known, encoded):
                matching = [audience for audience in audiences if audience == AUDIENCE]
                if not matching:
                    raise unauthorized()
                return user, matching
        try:
            return self._tokens.verify(token, audiences)
        except TokenRejected as error:
            raise unauthorized() from error

    def impersonate(self, request: Request, user: User) -> User:
        """The user that the Impersonate headers ask for, if the real one may. Raises StatusError."""
        headers = request.headers
        if not any(name.startswith("impersonate-") for name in headers):
            return user
        name = headers.get("impersonate-user", "")
        groups = [value for header, value in request.header_list if header == "impersonate-group"]
        uid = headers.get("impersonate-uid", "")
        extra: dict[str, list[str]] = {}
        for header, value in request.header_list:
            if header.startswith("impersonate-extra-"):
                extra.setdefault(unquote(header.removeprefix("impersonate-extra-")).lower(), []).append(value)
        if not name:
            if groups or uid or extra:
                raise StatusError(
                    500,
                    "InternalError",
                    f"Internal error occurred: requested {self._requested(groups, uid, extra)} without impersonating a"
                    " user",
                    {
                        "causes": [
                            {"message": f"requested {self._requested(groups, uid, extra)} without impersonating a user"}
                        ]
                    },
                )
            return user
        account = _SERVICE_ACCOUNT.match(name)
        if account:
            self._check(user, "", "serviceaccounts", account[2], account[1])
        else:
            self._check(user, "", "users", name)
        for group in groups:
            self._check(user, "", "groups", group)
        if uid:
            self._check(user, "authentication.k8s.io", "uids", uid)
        for key, values in extra.items():
            for value in values:
                self._check(user, "authentication.k8s.io", "userextras", value, subresource=key)
        if account and not groups:
            base = service_account_user(account[1], account[2])
            groups = list(base.groups)
        elif name != ANONYMOUS.name and ALL_AUTHENTICATED not in groups and "system:unauthenticated" not in groups:
            groups.append(ALL_AUTHENTICATED)
        elif name == ANONYMOUS.name and "system:unauthenticated" not in groups:
            groups.append("system:unauthenticated")
        return User(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})

    @staticmethod
    def _requested(groups: list[str], uid: str, extra: dict[str, list[str]]) -> str:
        wanted = [f"{{Group  {group}    }}" for group in groups]
        wanted += [f"{{UID  {uid}    }}"] if uid else []
        wanted += [f"{{UserExtra  {value}    {key}}}" for key, values in extra.items() for value in values]
        return "[" + " ".join(wanted) + "]"

    def _check(
        self, user: User, group: str, resource: str, name: str, namespace: str = "", subresource: str = ""
    ) -> None:
        attributes = Attributes(user, "impersonate", group, "", namespace, resource, subresource, name)
        self._authorizer.require(attributes)


def _websocket_token(protocols: str) -> str:
    import base64

    prefix = "base64url.bearer.authorization.k8s.io."
    for protocol in protocols.split(","):
        protocol = protocol.strip()
        if protocol.startswith(prefix):
            text = protocol.removeprefix(prefix)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except ValueError as error:
                raise bad_request("invalid websocket bearer token") from error
    return ""
