"""Request bodies in Kubernetes' protobuf envelope: what typed Go clients (kubectl create) send for built-in kinds."""

from kobune.embedded.apiserver.protobuf.decode import ProtobufError, decode_object

__all__ = ["ProtobufError", "decode_object"]
