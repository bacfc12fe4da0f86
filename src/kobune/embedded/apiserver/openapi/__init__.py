"""OpenAPI documents of everything served: v3 per group version, v2 as a whole (also as protobuf)."""

from kobune.embedded.apiserver.openapi.gnostic import encode_v2
from kobune.embedded.apiserver.openapi.v2 import v2_document
from kobune.embedded.apiserver.openapi.v3 import v3_document, v3_index, v3_version_document

__all__ = ["encode_v2", "v2_document", "v3_document", "v3_index", "v3_version_document"]
