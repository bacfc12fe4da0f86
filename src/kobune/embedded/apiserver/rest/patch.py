"""PATCH: the four patch types on one object, each as a transform of the stored object."""

from typing import Any

from kobune.embedded.apiserver.http.message import Response
from kobune.embedded.apiserver.patch import PatchError, json_patch, merge_patch, strategic_merge_patch
from kobune.embedded.apiserver.rest.body import check_size, conform
from kobune.embedded.apiserver.rest.call import Call
from kobune.embedded.apiserver.rest.options import WriteOptions, write_options
from kobune.embedded.apiserver.rest.write import answer, options_object, update_object
from kobune.embedded.apiserver.schema.strict import BodyError, read_json
from kobune.embedded.apiserver.status import StatusError, bad_request, invalid_patch, too_large

__all__ = ["patch"]

_JSON = "application/json-patch+json"
_MERGE = "application/merge-patch+json"
_STRATEGIC = "application/strategic-merge-patch+json"
_APPLY = ("application/apply-patch+yaml", "application/apply-patch+cbor")
_MAX_OPERATIONS = 10_000


async def patch(call: Call) -> Response:
    """Patch an object, or apply one."""
    check_size(call.request)
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == _APPLY[0]:
        from kobune.embedded.apiserver.rest.apply import apply

        return await apply(call)
    info = call.resource.info
    accepted = [_JSON, _MERGE, *([] if info.custom else [_STRATEGIC]), _APPLY[0]]
    if media not in accepted:
        raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    options = write_options(call.request, kind="PatchOptions", patch=True)
    call.dry_run = options.dry_run
    call.options = options_object("PatchOptions", call, options)
    try:
        document, duplicates = read_json(call.request.body)
    except BodyError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if media == _JSON and isinstance(document, list) and len(document) > _MAX_OPERATIONS:
        raise too_large(f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(document)}")

    documents = [document]

    async def transform(old: dict[str, Any] | None) -> dict[str, Any]:
        assert old is not None
        # The result takes parts of the patch over and is changed later: a second attempt reads it anew.
        patch_document = documents.pop() if documents else read_json(call.request.body)[0]
        return _patched(call, options, media, patch_document, old, duplicates)

    result, created = await update_object(call, transform, options, "Update")
    return await answer(call, result, created)


def _patched(
    call: Call,
    options: WriteOptions,
    media: str,
    document: Any,
    old: dict[str, Any],
    duplicates: list[str],
) -> dict[str, Any]:
    info = call.resource.info
    try:
        if media == _JSON:
            new = json_patch(old, document)
        elif media == _MERGE:
            new = merge_patch(old, document)
        else:
            new = strategic_merge_patch(old, document, info.schema.shape)
    except PatchError as error:
        raise StatusError(error.code, error.reason, str(error), {} if error.code == 422 else None) from error
    if not isinstance(new.get("metadata"), dict):
        new["metadata"] = {}
    if new.get("kind") != info.kind or new.get("apiVersion") != info.group_version:
        shown = f"{new.get('apiVersion')}, Kind={new.get('kind')}"
        raise invalid_patch(_text(call), f"the result is {shown}, not {info.group_version}, Kind={info.kind}")
    try:
        return conform(call, info, new, options.field_validation, duplicates)
    except StatusError as error:
        if error.code != 400:
            raise
        detail = error.message.partition(f" cannot be handled as a {info.kind}: ")[2] or error.message
        raise invalid_patch(_text(call), detail) from error


def _text(call: Call) -> str:
    """The patch as it was sent, for the message about it."""
    return call.request.body.decode("utf-8", "replace")
