"""Versions of custom resources: the conversion of one definition, by apiVersion alone or by its webhook.

Owns: when stored bytes may not be sent as they are (another version, or written under an older schema) and the
ConversionReview exchange.
"""

import copy
import uuid
from collections.abc import Mapping
from typing import Any

from kobune.embedded.apiserver.admission.review import WebhookClient, WebhookFailed
from kobune.embedded.apiserver.schema.errors import DecodeError
from kobune.embedded.apiserver.schema.resource import ObjectSchema
from kobune.embedded.apiserver.status import StatusError, internal

__all__ = ["CustomCodec"]

_TIMEOUT_S = 30.0


class CustomCodec:
    """Converts objects of one definition; `schemas` are those of all its versions, served or not, by version name."""

    def __init__(
        self, definition: dict[str, Any], schemas: Mapping[str, ObjectSchema], webhooks: WebhookClient, since: int
    ) -> None:
        spec = definition["spec"]
        self._group = spec["group"]
        self._kind = spec["names"]["kind"]
        self._storage = next(v["name"] for v in spec["versions"] if v.get("storage"))
        self._schemas = schemas
        self._webhooks = webhooks
        conversion = spec.get("conversion") or {}
        self._webhook = conversion.get("webhook") if conversion.get("strategy") == "Webhook" else None
        self.since = since
        """Revision of the definition when its schemas changed last: what was stored before needs decoding again."""

    async def decode(self, objects: list[dict[str, Any]], api_version: str) -> list[dict[str, Any]]:
        """Stored objects in another version, pruned and defaulted by its schema. Raises StatusError."""
        converted = await self._convert(objects, api_version)
        return [self._conform(obj, api_version) for obj in converted]

    async def encode(self, obj: dict[str, Any]) -> dict[str, Any]:
        """An object in the version it is stored in. Raises StatusError."""
        api_version = f"{self._group}/{self._storage}"
        if obj["apiVersion"] == api_version:
            return obj
        converted = (await self._convert([copy.deepcopy(obj)], api_version))[0]
        # The stored form is what its schema knows; defaults are filled in when it is read.
        return self._conform(converted, api_version, default=False)

    def _conform(self, obj: dict[str, Any], api_version: str, *, default: bool = True) -> dict[str, Any]:
        schema = self._schemas.get(api_version.rpartition("/")[2])
        if schema is not None:
            try:
                schema.decode(obj, default=default)
            except DecodeError:
                return obj  # the schema became stricter: old objects are shown as they are
        return obj

    async def _convert(self, objects: list[dict[str, Any]], api_version: str) -> list[dict[str, Any]]:
        waiting = [index for index, obj in enumerate(objects) if obj["apiVersion"] != api_version]
        if not waiting:
            return objects
        if self._webhook is None:
            for index in waiting:
                objects[index]["apiVersion"] = api_version
            return objects
        answers = await self._ask([objects[index] for index in waiting], api_version)
        for index, answer in zip(waiting, answers, strict=True):
            objects[index] = _merged(objects[index], answer, api_version)
        return objects

    async def _ask(self, objects: list[dict[str, Any]], api_version: str) -> list[dict[str, Any]]:
        assert self._webhook is not None
        uid = str(uuid.uuid4())
        review = {
            "kind": "ConversionReview",
            "apiVersion": "apiextensions.k8s.io/v1",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": [_unversioned(o) for o in objects]},
        }
        query = f"?timeout={int(_TIMEOUT_S)}s"
        try:
            answer = await self._webhooks.post(self._webhook["clientConfig"], review, _TIMEOUT_S, query)
        except WebhookFailed as error:
            raise self._failed(str(error)) from error
        response = answer.get("response") if isinstance(answer, dict) else None
        if not isinstance(response, dict) or response.get("uid") != uid:
            raise self._failed("the answer belongs to another request")
        result = response.get("result") or {}
        if result.get("status") != "Success":
            raise self._failed(str(result.get("message") or "the webhook refused"))
        converted = response.get("convertedObjects")
        if not isinstance(converted, list) or len(converted) != len(objects):
            raise self._failed(f"the webhook returned another number of objects than {len(objects)}")
        for before, after in zip(objects, converted, strict=True):
            self._check(before, after, api_version)
        return converted

    def _check(self, before: dict[str, Any], after: Any, api_version: str) -> None:
        if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
            raise self._failed("the webhook returned something that is no object")
        if after.get("apiVersion") != api_version or after.get("kind") != before.get("kind"):
            raise self._failed(f"the webhook returned {after.get('apiVersion')}, not {api_version}")
        for name in ("name", "namespace", "uid"):
            if before["metadata"].get(name) != after["metadata"].get(name):
                raise self._failed(
                    f"must have the same {name}: {before['metadata'].get(name)} != {after['metadata'].get(name)}"
                )

    def _failed(self, detail: str) -> StatusError:
        return internal(f"conversion webhook for {self._group}, Kind={self._kind} failed: {detail}")


def _unversioned(obj: dict[str, Any]) -> dict[str, Any]:
    """The object as it is in the store: its revision is not part of it there."""
    return {**obj, "metadata": {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}}


def _merged(before: dict[str, Any], after: dict[str, Any], api_version: str) -> dict[str, Any]:
    """A webhook may change labels and annotations of the metadata, nothing else of it."""
    metadata = copy.deepcopy(before["metadata"])
    for name in ("labels", "annotations"):
        if name in after["metadata"]:
            metadata[name] = after["metadata"][name]
        else:
            metadata.pop(name, None)
    return {**after, "apiVersion": api_version, "metadata": metadata}
