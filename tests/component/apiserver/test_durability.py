"""What was acknowledged is there after SIGKILL in the middle of concurrent writes."""

import asyncio
import json
import signal
import ssl
import sys
from pathlib import Path

import aiohttp

from kobune.kube.testing import eventually

ROUNDS = 4
MAPS = "/api/v1/namespaces/default/configmaps"


async def start(data_dir: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kobune.embedded.apiserver",
        "--data-dir",
        str(data_dir),
        "--log-level",
        "warning",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = await process.stdout.readline()
    assert line.startswith(b"ready https://"), line
    return process, line.split()[1].decode()


async def test_acknowledged_writes_survive_sigkill(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    newest = 0
    for round_number in range(ROUNDS):
        process, url = await start(tmp_path)
        try:
            tls = ssl.create_default_context(cafile=str(tmp_path / "pki" / "ca.crt"))
            token = (tmp_path / "pki" / "admin.token").read_text()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(ssl=tls)) as session:
                async with session.get(url + MAPS) as response:
                    listed = await response.json()
                found = {item["metadata"]["name"]: int(item["metadata"]["resourceVersion"]) for item in listed["items"]}
                assert {name: found.get(name) for name in acknowledged} == acknowledged
                assert int(listed["metadata"]["resourceVersion"]) >= newest

                async def write(
                    worker: int, session: aiohttp.ClientSession = session, url: str = url, number: int = round_number
                ) -> None:
                    for n in range(10_000):
                        name = f"r{number}-{worker}-{n}"
                        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
                        async with session.post(url + MAPS, data=json.dumps(body)) as response:
                            answer = await response.json()
                            assert response.status == 201
                            acknowledged[name] = int(answer["metadata"]["resourceVersion"])

                writers = [asyncio.create_task(write(worker)) for worker in range(8)]

                def begun(before: int = len(acknowledged)) -> bool:
                    return len(acknowledged) > before

                await eventually(begun, "the first writes", timeout_s=20)
                await asyncio.sleep(0.4)
                process.send_signal(signal.SIGKILL)
                await asyncio.gather(*writers, return_exceptions=True)
                assert acknowledged
                newest = max(acknowledged.values())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            transport = process._transport  # type: ignore[attr-defined]
            transport.close()
