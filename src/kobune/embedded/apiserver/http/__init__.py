"""The HTTP/1.1 adapter: bytes to `Request`, `Response` to bytes. Knows nothing of Kubernetes."""

from kobune.embedded.apiserver.http.message import Peer, Request, Response, StreamingResponse, TunnelResponse
from kobune.embedded.apiserver.http.protocol import Limits
from kobune.embedded.apiserver.http.server import HttpServer, PortInUse, reserve

__all__ = [
    "HttpServer",
    "Limits",
    "Peer",
    "PortInUse",
    "Request",
    "Response",
    "StreamingResponse",
    "TunnelResponse",
    "reserve",
]
