"""Conversations recorded with a real kube-apiserver, held with ours, the built-in controllers running as in a cluster.

Server, controllers and the replaying program are processes of their own, as in use.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SHARED = Path(os.environ.get("KOBUNE_SHARED", ROOT.parent / "shared"))
REPLAY = SHARED / "kubeconform" / "replay.py"
CONTROLLERS = (
    "import asyncio, sys; from pathlib import Path; from kobune.embedded.builtin.run import run;"
    " asyncio.run(run(Path(sys.argv[1]), authority=Path(sys.argv[1]).parent / 'pki'))"
)
CORE_PERCENT, ALL_PERCENT = 99.0, 95.0

pytestmark = pytest.mark.skipif(not REPLAY.exists(), reason=f"no recorded conversations at {REPLAY}")


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    """An API server with its controllers; the administrator's kubeconfig."""
    data = tmp_path / "data"
    serve = [sys.executable, "-m", "kobune.embedded.apiserver", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
    running: list[subprocess.Popen[str]] = []
    with (tmp_path / "server.log").open("wb") as log:
        try:
            server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
            running.append(server)
            assert server.stdout is not None
            with server.stdout:
                line = server.stdout.readline()
                assert line.startswith("ready "), (tmp_path / "server.log").read_text()
                config = Path(line.split()[3])
                control = [sys.executable, "-c", CONTROLLERS, str(config)]
                running.append(subprocess.Popen(control, stdout=log, stderr=log, text=True))
                yield config
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=20)


@pytest.mark.timeout(600)
def test_recorded_conversations_match(kubeconfig: Path, tmp_path: Path) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    url, token = document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]["token"]
    results = tmp_path / "results.json"
    command = [sys.executable, str(REPLAY), "--server", url, "--token", token, "--insecure", "--json", str(results)]
    command += ["--until-timeout", "20", "-j", "2", str(REPLAY.parent / "transcripts")]
    # Controllers need a moment to fill their caches; the first scenarios wait for what they make.
    time.sleep(2)
    done = subprocess.run(command, capture_output=True, text=True, timeout=550, check=False)
    assert results.exists(), done.stdout + done.stderr
    result = json.loads(results.read_text())
    matched, total = result["tiers"]["core"]
    assert result["total"] > 1000, done.stdout
    assert 100 * matched / total >= CORE_PERCENT, done.stdout
    assert result["percent"] >= ALL_PERCENT, done.stdout
