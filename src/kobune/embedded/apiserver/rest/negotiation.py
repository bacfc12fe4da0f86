"""Accept headers: which form of the answer the client wants. Source: RFC 9110 and the API's `as=` parameters. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kobune.embedded.apiserver.status import not_acceptable

__all__ = ["JSON", "Format", "negotiate"]

Transform = Literal["", "Table", "PartialObjectMetadata", "PartialObjectMetadataList"]
_JSON = "application/json"
_YAML = "application/yaml"
_MEDIA = {
    "application/json": _JSON,
    "*/*": _JSON,
    "application/yaml": _YAML,
    "text/yaml": _YAML,
    "application/x-yaml": _YAML,
}
_ACCEPTED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_STREAMS = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")


@dataclass(frozen=True, slots=True)
class Format:
    """`media` is what is sent; `transform` asks for a table or metadata only; `pretty` for indentation."""

    media: str = _JSON
    transform: Transform = ""
    version: str = "v1"
    stream: bool = False
    pretty: bool = False


JSON = Format()


@lru_cache(maxsize=256)
def negotiate(accept: str, *, transforms: bool = True, streams: bool = False) -> Format:
    """The first acceptable form, by quality and then by order. Raises StatusError 406."""
    if not accept.strip() or accept == "*/*":
        return JSON
    offers: list[tuple[float, int, Format]] = []
    for index, part in enumerate(accept.split(",")):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        found = _MEDIA.get(media.lower())
        if found is None:
            continue
        values = {}
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            values[name.strip().lower()] = value.strip().strip('"')
        form = _form(found, values, transforms)
        if form is None:
            continue
        try:
            quality = float(values.get("q", "1"))
        except ValueError:
            quality = 1.0
        offers.append((-quality, index, form))
    if not offers:
        raise not_acceptable((*_ACCEPTED, *_STREAMS) if streams else _ACCEPTED)
    return min(offers, key=lambda offer: offer[:2])[2]


def _form(media: str, values: dict[str, str], transforms: bool) -> Format | None:
    wanted = values.get("as", "")
    if not wanted:
        if values.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
            return None
        return Format(media, stream=values.get("stream") == "watch")
    if not transforms or values.get("g") != "meta.k8s.io" or values.get("v") not in ("v1", "v1beta1"):
        return None
    match wanted:
        case "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList":
            return Format(media, wanted, values["v"], values.get("stream") == "watch")
    return None
