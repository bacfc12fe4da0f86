"""An API server of a benchmark's own, and what is written into it."""

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

COLLECTION = "/api/v1/namespaces/bench/configmaps"
PAYLOAD = "x" * 1024


@dataclass
class Server:
    """A started API server."""

    url: str
    token: str
    ca: Path
    pid: int
    ready_s: float

    def resident_mb(self) -> float:
        """Resident memory of the process, in 10^6 bytes."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024 / 1e6

    def cpu_s(self) -> float:
        """Seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(data: Path) -> Iterator[Server]:
    """Start a server over `data`; `ready_s` is from exec to its ready line."""
    command = [sys.executable, "-m", "kobune.embedded.apiserver", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
    began_s = time.monotonic()
    with open(data.parent / "server.log", "ab") as log:
        process = subprocess.Popen([*command, "--log-level", "WARNING"], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        with process.stdout:
            words = process.stdout.readline().split()
        if words[:1] != ["ready"]:
            raise SystemExit(f"the server did not start: {(data.parent / 'server.log').read_text()}")
        ready_s = time.monotonic() - began_s
        token = yaml.safe_load(Path(words[3]).read_text())["users"][0]["user"]["token"]
        yield Server(words[1], token, data / "pki" / "ca.crt", process.pid, ready_s)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def connector(server: Server, limit: int) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=limit, ssl=ssl.create_default_context(cafile=str(server.ca)))


@contextlib.asynccontextmanager
async def session(server: Server, connections: int = 16) -> AsyncIterator[aiohttp.ClientSession]:
    """An administrator's HTTP session."""
    headers = {"Authorization": f"Bearer {server.token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(
        server.url, headers=headers, connector=connector(server, connections), timeout=timeout
    ) as client:
        yield client


async def write(client: aiohttp.ClientSession, method: str, path: str, body: object) -> Any:
    media = "application/merge-patch+json" if method == "PATCH" else "application/json"
    async with client.request(method, path, data=json.dumps(body), headers={"Content-Type": media}) as answer:
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {await answer.text()}")
        return await answer.json()


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": PAYLOAD}}


async def prepare(server: Server) -> None:
    async with session(server) as client:
        await write(client, "POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})


async def fill(server: Server, count: int) -> None:
    """`count` ConfigMaps of 1 KiB in the bench namespace."""
    async with session(server) as client:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await write(client, "POST", COLLECTION, config_map(f"l-{number}"))

        await asyncio.gather(*(worker() for _ in range(16)))


async def post_one(server: Server) -> None:
    """The object that GET reads."""
    async with session(server) as client:
        await write(client, "POST", COLLECTION, config_map("one"))


async def clear(server: Server) -> None:
    async with session(server) as client, client.delete(COLLECTION) as answer:
        await answer.read()
