"""The API server and its controllers as processes of their own, as in use: for tests with real clients.

with api_process(folder) as api: ... api.kubeconfig, api.url, api.token, api.ca_file
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

__all__ = ["ApiProcess", "api_process"]

STOP_TIMEOUT_S = 20.0
_CONTROLLERS = (
    "import asyncio, sys; from pathlib import Path; from kobune.embedded.builtin.run import run;"
    " asyncio.run(run(Path(sys.argv[1]), authority=Path(sys.argv[1]).parent / 'pki'))"
)


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """A running server: where it is and how an administrator reaches it."""

    url: str
    kubeconfig: Path
    token: str
    ca_file: Path
    pid: int


@contextlib.contextmanager
def api_process(folder: Path, *, controllers: bool = True) -> Iterator[ApiProcess]:
    """Start server and controllers, data and logs below `folder`; end both afterwards."""
    data = folder / "data"
    serve = [sys.executable, "-m", "kobune.embedded.apiserver", "--data-dir", str(data), "--listen", "127.0.0.1:0"]
    running: list[subprocess.Popen[str]] = []
    with (folder / "server.log").open("wb") as log:
        try:
            server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log, text=True)
            running.append(server)
            assert server.stdout is not None
            with server.stdout:
                words = server.stdout.readline().split()
            assert words[:1] == ["ready"], (folder / "server.log").read_text()
            config = Path(words[3])
            if controllers:
                control = [sys.executable, "-c", _CONTROLLERS, str(config)]
                running.append(subprocess.Popen(control, stdout=log, stderr=log, text=True))
            token = yaml.safe_load(config.read_text())["users"][0]["user"]["token"]
            yield ApiProcess(words[1], config, token, data / "pki" / "ca.crt", server.pid)
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=STOP_TIMEOUT_S)
