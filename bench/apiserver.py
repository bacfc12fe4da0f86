"""What the embedded API costs: requests a second, memory, seconds to ready, watch fan-out, start with many objects.

    uv run python bench/apiserver.py [--seconds 6] [--watchers 1000] [--writes 100] [--objects 100000] [--json FILE]
    uv run python bench/apiserver.py --only rates,start --objects 10000

Starts an API server of its own in a temporary directory, on a free loopback port, and removes both. Rates are taken
with wrk (Debian's), one client thread, TLS, bearer token, as an administrator; the machine should do nothing else:
the load average at the start is part of the result.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import re
import resource
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from apiprocess import (
    COLLECTION,
    PAYLOAD,
    Server,
    clear,
    fill,
    post_one,
    prepare,
    serving,
    session,
    write,
)
from kobune.embedded.store import Key, RevisionLog, SqliteJournal

PARTS = ("rates", "fanout", "start")
LIST_OBJECTS = 5000
TICKERS = 20
READY_LIMIT_S = 120.0
# Targets, for the table: what the project wants of a 2-core machine.
TARGETS = {
    "POST /s": 1200.0,
    "GET /s": 6000.0,
    "LIST 5000 /s": 50.0,
    "resident before load MB": 80.0,
    "resident after load MB": 250.0,
    "seconds to ready": 1.5,
    "seconds to ready with stored objects": 5.0,
}
SMALLER_IS_BETTER = ("MB", "seconds", "ms")

POST_SCRIPT = """
local made = 0
function request()
  made = made + 1
  return wrk.format("POST", nil, nil, string.format(
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w-%d"},"data":{"k":"%s"}}', made, os.getenv("PAYLOAD")))
end
"""
COMMON_SCRIPT = """
function init()
  wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
  wrk.headers["Content-Type"] = "application/json"
end
function done(summary, latency)
  print(string.format("FIGURES %f %f %f %d", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.errors.status + summary.errors.timeout))
end
"""


def wrk(server: Server, path: str, connections: int, seconds: int, script: str, folder: Path) -> dict[str, float]:
    """One run of wrk: requests a second, milliseconds at the median and the 99th percentile, failures."""
    file = folder / "script.lua"
    file.write_text(COMMON_SCRIPT + script)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(file),
        server.url + path,
    ]
    cpu_s, began_s = server.cpu_s(), time.monotonic()
    environment = {**os.environ, "TOKEN": server.token, "PAYLOAD": PAYLOAD}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    busy = (server.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    found = re.search(r"FIGURES (\S+) (\S+) (\S+) (\d+)", output)
    if found is None:
        raise SystemExit(f"wrk said: {output}")
    rate, p50_ms, p99_ms, failed = (float(text) for text in found.groups())
    # Processor time of one request hardly depends on what else the machine does; rates do.
    spent_ms = busy / rate * 1e3 if rate else 0.0
    latency = {"p50_ms": p50_ms, "p99_ms": p99_ms, "failed": failed}
    return {"rate": rate, **latency, "server_cores": busy, "server_cpu_ms_each": spent_ms}


def measure_rates(folder: Path, seconds: int) -> dict[str, Any]:
    """Rates of the everyday requests, and memory before and after them."""
    result: dict[str, Any] = {}
    with serving(folder / "data") as server:
        result["seconds to ready"] = server.ready_s
        asyncio.run(prepare(server))
        result["resident before load MB"] = server.resident_mb()
        asyncio.run(post_one(server))
        result["POST /s"] = wrk(server, COLLECTION, 8, seconds, POST_SCRIPT, folder)
        result["GET /s"] = wrk(server, f"{COLLECTION}/one", 8, seconds, "", folder)
        result["LIST 500 /s"] = wrk(server, f"{COLLECTION}?limit=500&resourceVersion=0", 2, seconds, "", folder)
        result["resident after load MB"] = server.resident_mb()
        # A list of a known length, so that a faster POST does not make a slower LIST.
        asyncio.run(clear(server))
        asyncio.run(fill(server, LIST_OBJECTS))
        result[f"LIST {LIST_OBJECTS} /s"] = wrk(server, f"{COLLECTION}?resourceVersion=0", 1, seconds, "", folder)
        result["resident at the end MB"] = server.resident_mb()
    return result


class Watcher(asyncio.Protocol):
    """One watch over a connection of its own that only looks for marks: the server is what shall be measured."""

    MARK = re.compile(rb'"mark":"(\d+)"')

    def __init__(self, request: bytes, opened: Callable[[], None], seen: Callable[[int], None]) -> None:
        self._request, self._opened, self._seen = request, opened, seen
        self._rest = b""
        self._started = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Report each mark, of whole lines: the stream may cut one in two."""
        if not self._started:
            self._started = True
            self._opened()
        lines, _, self._rest = (self._rest + data).rpartition(b"\n")
        for found in self.MARK.finditer(lines):
            self._seen(int(found[1]))


async def fan_out(server: Server, watchers: int, writes_per_s: int, seconds: int) -> dict[str, Any]:
    """Milliseconds from sending a write until the last of all watchers has read its event.

    The watchers share the machine with the server: `client_cores` says how much of it they took.
    """
    seen: dict[int, int] = {}
    last_s: dict[int, float] = {}
    sent_s: dict[int, float] = {}
    ready, everywhere = asyncio.Semaphore(0), asyncio.Event()
    count = writes_per_s * seconds

    def note(number: int) -> None:
        seen[number] = seen.get(number, 0) + 1
        if seen[number] == watchers:
            last_s[number] = time.monotonic()
            if len(last_s) == count:
                everywhere.set()

    host, _, port = server.url.removeprefix("https://").rpartition(":")
    path = f"{COLLECTION}?watch=1&resourceVersion=0"
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()
    tls = ssl.create_default_context(cafile=str(server.ca))
    loop = asyncio.get_running_loop()
    async with session(server) as writing:
        for number in range(TICKERS):
            await write(writing, "POST", COLLECTION, {"metadata": {"name": f"ticker-{number}"}})
        transports = []
        for _ in range(watchers):
            transport, _ = await loop.create_connection(
                lambda: Watcher(request, ready.release, note), host, int(port), ssl=tls
            )
            transports.append(transport)
        for _ in range(watchers):
            await ready.acquire()
        cpu_s, own_s, began_s = server.cpu_s(), time.process_time(), time.monotonic()
        pending: set[asyncio.Task[Any]] = set()
        for number in range(1, count + 1):
            await asyncio.sleep(max(0.0, began_s + number / writes_per_s - time.monotonic()))
            sent_s[number] = time.monotonic()
            body = {"data": {"mark": str(number)}}
            task = asyncio.create_task(write(writing, "PATCH", f"{COLLECTION}/ticker-{number % TICKERS}", body))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(everywhere.wait(), 30)
        spent_s = time.monotonic() - began_s
        busy = (server.cpu_s() - cpu_s) / spent_s
        own = (time.process_time() - own_s) / spent_s
        for transport in transports:
            transport.abort()
    delays_ms = sorted((last_s[number] - sent_s[number]) * 1e3 for number in last_s)
    if not delays_ms:
        raise SystemExit("no write reached every watcher")
    return {
        "watchers": watchers,
        "writes_per_s": writes_per_s,
        "complete": len(delays_ms),
        "of": count,
        "p50_ms": statistics.median(delays_ms),
        "p99_ms": delays_ms[int(len(delays_ms) * 0.99)],
        "max_ms": delays_ms[-1],
        "events_per_s": sum(seen.values()) / spent_s,
        "server_cores": busy,
        "server_cpu_us_per_event": busy * spent_s / sum(seen.values()) * 1e6,
        "client_cores": own,
    }


def measure_fan_out(folder: Path, watchers: int, writes_per_s: int, seconds: int) -> dict[str, Any]:
    with serving(folder / "data") as server:
        asyncio.run(prepare(server))
        result = uvloop.run(fan_out(server, watchers, writes_per_s, seconds))
        result["resident MB"] = server.resident_mb()
    return {"watch fan-out": result}


async def store_objects(data: Path, count: int) -> None:
    """Write ConfigMaps of 1 KiB into a stopped server's store, in the form it keeps them."""
    log = RevisionLog(SqliteJournal(data / "store.db"))
    for _ in log.open():
        pass
    waiting = []
    for number in range(count):
        metadata = {"name": f"s-{number}", "namespace": "default", "uid": f"00000000-0000-4000-8000-{number:012d}"}
        metadata["creationTimestamp"] = "2024-01-01T00:00:00Z"

        def encode(revision: int, metadata: dict[str, str] = metadata) -> tuple[str, bytes]:
            body = {"metadata": {**metadata, "resourceVersion": str(revision)}, "data": {"k": PAYLOAD}}
            return "v1 ConfigMap", json.dumps(body, separators=(",", ":")).encode()[1:]

        waiting.append(log.append(Key("core/configmaps", "default", metadata["name"]), 0, encode))
        if len(waiting) == 2000:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    await log.close()


def measure_start(folder: Path, count: int) -> dict[str, Any]:
    """Seconds from exec to ready with `count` stored objects, and the memory that they take."""
    data = folder / "data"
    with serving(data):
        pass
    asyncio.run(store_objects(data, count))
    rounds = []
    for _ in range(3):
        with serving(data) as server:
            rounds.append(server.ready_s)
            resident_mb = server.resident_mb()
            found = asyncio.run(count_stored(server))
            if found < count:
                raise SystemExit(f"{found} of {count} stored objects are served")
    return {
        "seconds to ready with stored objects": statistics.median(rounds),
        "stored objects": count,
        "resident with stored objects MB": resident_mb,
    }


async def count_stored(server: Server) -> int:
    path = "/api/v1/namespaces/default/configmaps?limit=1"
    async with session(server) as client, client.get(path) as answer:
        metadata = (await answer.json())["metadata"]
        return 1 + int(metadata.get("remainingItemCount", 0))


def machine() -> str:
    """The processor, memory and versions that the figures belong to."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} x {model}, {memory_gb:.0f} GB, {system}"


def report(result: dict[str, Any]) -> None:
    """One line a figure, with its ratio to the target where there is one."""
    for name, value in result.items():
        figure = value["rate"] if isinstance(value, dict) and "rate" in value else value
        if isinstance(figure, float):
            line = f"{name:<40} {figure:>10.2f}"
            target = TARGETS.get(name)
            if target is not None:
                ratio = target / figure if any(word in name for word in SMALLER_IS_BETTER) else figure / target
                line += f"   {ratio:5.2f} x target {target:g}"
            print(line)
            if isinstance(value, dict):
                print(" " * 41 + ", ".join(f"{key} {entry:.2f}" for key, entry in value.items() if key != "rate"))
        elif isinstance(value, dict):
            print(
                f"{name:<40} "
                + ", ".join(f"{k} {v:.1f}" if isinstance(v, float) else f"{k} {v}" for k, v in value.items())
            )
        else:
            print(f"{name:<40} {value:>10}" if isinstance(value, int) else f"{name:<40} {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="which of rates, fanout, start")
    parser.add_argument("--seconds", type=int, default=6, help="of each measurement")
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--writes", type=int, default=100, help="a second, for the watchers")
    parser.add_argument("--objects", type=int, default=100_000, help="stored before the start")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    unknown = set(parts) - set(PARTS)
    if unknown:
        parser.error(f"--only {','.join(sorted(unknown))}: choose of {','.join(PARTS)}")
    # Each watcher is a connection in this process and in the server, which inherits the limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result: dict[str, Any] = {"machine": machine(), "load average at the start": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="kobune-bench-") as folder:
        for part in parts:
            room = Path(folder) / part
            (room / "data").mkdir(parents=True, mode=0o700)
            if part == "rates":
                result |= measure_rates(room, arguments.seconds)
            elif part == "fanout":
                result |= measure_fan_out(room, arguments.watchers, arguments.writes, arguments.seconds)
            else:
                result |= measure_start(room, arguments.objects)
    report(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
