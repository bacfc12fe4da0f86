"""The slow-watcher rule: a watch that falls too far behind is cut; nobody else notices."""

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest

from kobune.embedded.apiserver.rest import watch as watch_module
from support.apiserver import Running, api_server

MAPS = "/api/v1/namespaces/default/configmaps"


async def open_watch(server: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    tls = ssl.create_default_context(cafile=str(server.ca_file))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls, limit=1 << 16)
    request = (
        f"GET {MAPS}?watch=1&resourceVersion=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\n\r\n"
    )
    writer.write(request.encode())
    return reader, writer


async def test_a_watch_that_is_not_read_is_cut_and_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "MAX_PENDING", 30)
    async with api_server(tmp_path) as server, aiohttp.ClientSession() as session:
        tls = ssl.create_default_context(cafile=str(server.ca_file))
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        collection = server.server.storage.collection("core/configmaps")
        slow_reader, slow_writer = await open_watch(server)
        await slow_reader.readuntil(b"\r\n\r\n")
        fast_reader, fast_writer = await open_watch(server)
        seen = 0

        async def follow() -> None:
            nonlocal seen
            while data := await fast_reader.read(1 << 20):
                seen += data.count(b'"type":"ADDED"')

        follower = asyncio.create_task(follow())
        written = 0
        async with asyncio.timeout(60):
            while len(collection._watchers.get("default", ())) > 1 or not written:
                body = {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": f"m{written}"},
                    "data": {"pad": "x" * 200_000},
                }
                url, data = server.url + MAPS, json.dumps(body)
                async with session.post(url, data=data, headers=headers, ssl=tls) as response:
                    assert response.status == 201
                written += 1
            while seen < written:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert seen == written
        # What had been sent can still be read; then the answer breaks off without its last chunk.
        rest = b""
        try:
            async with asyncio.timeout(30):
                while data_read := await slow_reader.read(1 << 20):
                    rest = (rest + data_read)[-16:]
        except (ConnectionError, ssl.SSLError):
            pass
        assert not rest.endswith(b"0\r\n\r\n")
        follower.cancel()
        for writer in (slow_writer, fast_writer):
            writer.close()
