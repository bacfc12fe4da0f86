"""serviceaccounts/token: TokenRequest."""

import time
from collections.abc import Callable
from typing import Any

from kobune.embedded.apiserver.auth.tokens import AUDIENCE, ServiceAccountTokens
from kobune.embedded.apiserver.http.message import AnyResponse
from kobune.embedded.apiserver.rest import respond
from kobune.embedded.apiserver.rest.body import conform, read
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import write_options
from kobune.embedded.apiserver.rest.write import options_object
from kobune.embedded.apiserver.schema.builtin import BuiltinSchema
from kobune.embedded.apiserver.schema.errors import FieldError
from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.schema.strict import BodyError
from kobune.embedded.apiserver.status import bad_request, conflict, invalid, method_not_allowed, not_found

__all__ = ["TokenRequests"]

_INFO = ResourceInfo(
    group="authentication.k8s.io",
    version="v1",
    plural="tokenrequests",
    singular="tokenrequest",
    kind="TokenRequest",
    namespaced=True,
    schema=BuiltinSchema("io.k8s.api.authentication.v1.TokenRequest"),
    stored=False,
)
_MIN_S, _DEFAULT_S, _MAX_S = 600, 3600, 1 << 32


class TokenRequests:
    """Issues bound tokens."""

    def __init__(
        self, tokens: ServiceAccountTokens, check: Callable[[Call, tuple[str, str, str] | None], None]
    ) -> None:
        """`check` refuses, by the object that a token shall be bound to as (kind, name, UID as asked for)."""
        self._tokens = tokens
        self._check = check

    async def create(self, call: Call) -> AnyResponse:
        """POST of a TokenRequest to a ServiceAccount."""
        if call.info.verb != "create":
            raise method_not_allowed()
        options = write_options(call.request, kind="CreateOptions")
        try:
            value, duplicates = read(call.request)
        except BodyError as error:
            raise bad_request(str(error)) from error
        if not isinstance(value, dict) or value.get("kind", "TokenRequest") != "TokenRequest":
            raise bad_request("the object provided is unrecognized (must be of type TokenRequest)")
        request = conform(call, _INFO, value, options.field_validation, duplicates)
        account = call.resource.collection.get(call.info.namespace, call.info.name)
        if account is None:
            raise not_found("", "serviceaccounts", call.info.name)
        metadata = account.object()["metadata"]
        call.dry_run, call.body_kind = options.dry_run, (_INFO.group, _INFO.version, _INFO.kind)
        call.options = options_object("CreateOptions", call, options)
        await call.services.admission.review(call, "CREATE", request)
        spec = request.setdefault("spec", {})
        life_s = spec.get("expirationSeconds")
        life_s = _DEFAULT_S if life_s is None else life_s
        errors = []
        if life_s < _MIN_S:
            errors.append(
                FieldError.invalid("spec.expirationSeconds", life_s, "may not specify a duration less than 10 minutes")
            )
        if life_s > _MAX_S:
            errors.append(
                FieldError.invalid(
                    "spec.expirationSeconds", life_s, "may not specify a duration larger than 2^32 seconds"
                )
            )
        if errors:
            raise invalid("authentication.k8s.io", "TokenRequest", "", errors)
        audiences = spec.get("audiences") or [AUDIENCE]
        asked = spec.get("boundObjectRef")
        self._check(call, (asked.get("kind", ""), asked.get("name", ""), asked.get("uid", "")) if asked else None)
        bound, node = self._bound(call, asked)
        token, expires = self._tokens.issue(
            call.info.namespace, call.info.name, metadata["uid"], list(audiences), int(life_s), bound, node
        )
        spec["audiences"] = audiences
        spec["expirationSeconds"] = life_s
        spec.setdefault("boundObjectRef", None)
        request["metadata"] = {
            "name": call.info.name,
            "namespace": call.info.namespace,
            "creationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        request["status"] = {
            "token": token,
            "expirationTimestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
        }
        return await respond.obj(call, 201, request)

    def _bound(
        self, call: Call, reference: dict[str, Any] | None
    ) -> tuple[tuple[str, str, str] | None, tuple[str, str] | None]:
        if not reference:
            return None, None
        kind, name, uid = reference.get("kind", ""), reference.get("name", ""), reference.get("uid", "")
        plural = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}.get(kind)
        if plural is None or reference.get("apiVersion", "v1") not in ("v1", ""):
            what = f"/{reference.get('apiVersion', 'v1')}, Kind={kind}"
            raise bad_request(f'cannot bind token for serviceaccount "{call.info.name}" to object of type "{what}"')
        storage = call.services.storage
        item = storage.collection(f"core/{plural}").get("" if kind == "Node" else call.info.namespace, name)
        if item is None:
            raise not_found("", plural, name)
        obj = item.object()
        actual = obj["metadata"]["uid"]
        if uid and uid != actual:
            raise conflict(
                "",
                plural,
                name,
                f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have"
                " been deleted and then recreated",
            )
        node = None
        if kind == "Pod":
            own = (obj.get("spec") or {}).get("serviceAccountName", "")
            if own != call.info.name:
                raise bad_request(
                    f'cannot bind token for serviceaccount "{call.info.name}" to pod running with different'
                    " serviceaccount name."
                )
            node_name = (obj.get("spec") or {}).get("nodeName")
            found = storage.collection("core/nodes").get("", node_name) if node_name else None
            if found is not None:
                node = (found.name, found.object()["metadata"]["uid"])
        return (kind, name, actual), node
