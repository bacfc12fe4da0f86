"""Recorded conversations with a real KubeVirt, replayed against our whole control plane."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from support.controlplane import control_plane

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("KOBUNE_SHARED", ROOT.parent / "shared"))
REPLAY = SHARED / "virtconform/replay.py"

# Least share of matching steps per topic, in percent; what is missing is listed in docs/compatibility.md.
LEAST = {
    "validation": 98,
    "defaults": 100,
    "updates": 100,
    "versions": 100,
    "tables": 100,
    "subresources": 100,
    "discovery": 100,
    "kinds": 98,
    "replicasets": 100,
    "instancetypes": 100,
    "simulated": 100,
    # What a launcher needs beside its guest's memory is our own figure (docs/adr/0074-memory-of-a-launcher.md).
    "launcher-pod": 47,
    "lifecycle": 98,
    "data": 100,
}


@pytest.mark.skipif(not REPLAY.exists(), reason="the shared recordings are not beside this checkout")
async def test_recorded_conversations_go_as_they_went(tmp_path: Path) -> None:
    async with control_plane(tmp_path) as plane:
        shares = {}
        for topic in LEAST:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(REPLAY), "--server", plane.server.url, "--token", plane.server.token),
                *("--insecure", "--only", topic, str(REPLAY.parent / "transcripts")),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await asyncio.wait_for(process.communicate(), 240)
            match = re.search(r"virtconform: (\d+)/(\d+) steps", output.decode())
            assert match is not None, output.decode()[-2000:]
            shares[topic] = 100 * int(match[1]) / int(match[2])
    short = {topic: round(share, 1) for topic, share in shares.items() if share < LEAST[topic]}
    assert short == {}
