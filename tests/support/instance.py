"""A real instance for end-to-end tests: `kobune up` with directories and ports of its own, kubectl and a terminal."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pexpect

__all__ = ["Console", "Instance", "free_port"]

ROOT = Path(__file__).parents[2]
LOGIN_TIMEOUT_S = 180


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Console:
    """`kobune console NAME` in a pseudo-terminal, and a shell of the guest behind it."""

    def __init__(self, instance: "Instance", name: str) -> None:
        self.name = name
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "kobune.main.entry", "console", name],
            env=instance.environment,
            encoding="utf-8",
            codec_errors="replace",
            timeout=LOGIN_TIMEOUT_S,
            dimensions=(40, 200),
        )
        self.child.expect("Successfully connected")

    def login(self, user: str = "kobune", password: str = "kobune") -> "Console":
        """Log in; works at a prompt that is older than this connection too."""
        self.child.sendline("")
        # After the prompt, busybox' shell asks the terminal where the cursor is.
        if self.child.expect(["login: ", r"[$#] (\x1b\[6n)?$"]) == 0:
            self.child.sendline(user)
            self.child.expect("assword: ")
            self.child.sendline(password)
            self.child.expect(r"~[$#] ")
        return self

    def run(self, command: str, timeout_s: float = 60) -> str:
        """The output of one command in the guest."""
        # The marker is split in what is typed, so that the echo of the line is not taken for its output.
        self.child.sendline(f"echo BE''GIN; {command}; echo E''ND")
        self.child.expect(r"BEGIN\r+\n", timeout=timeout_s)
        self.child.expect(r"END\r*\n", timeout=timeout_s)
        return str(self.child.before).replace("\r", "").strip()

    def close(self) -> None:
        """Leave with the escape key, as a user does."""
        self.child.send("\x1d")
        self.child.expect(pexpect.EOF, timeout=30)
        self.child.close()


@dataclass
class Instance:
    """One instance. `ports` are its own, so that another one may run beside it."""

    data_dir: Path
    image_cache: Path
    more_images: tuple[str, ...] = ()
    listen_port: int = field(default_factory=free_port)
    pod_subnet: str = field(default_factory=lambda: os.environ.get("KOBUNE_TEST_POD_SUBNET", "10.142.0.0/24"))

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need to find it."""
        return {
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")},
            "KUBECONFIG": str(self.data_dir / "kubeconfig"),
            "TERM": "dumb",
        }

    def kobune(self, *arguments: str, check: bool = True, timeout_s: float = 900) -> str:
        """Run `kobune ...`; its output."""
        return self._run([sys.executable, "-m", "kobune.main.entry", *arguments], check, timeout_s)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None, timeout_s: float = 180) -> str:
        """Run `kubectl ...`; its output."""
        return self._run(["kubectl", *arguments], check, timeout_s, stdin)

    def _run(self, command: list[str], check: bool, timeout_s: float, stdin: str | None = None) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout_s, input=stdin, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} failed ({done.returncode}): {done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> str:
        """Start it and wait until it is ready."""
        return self.kobune(
            "up",
            "--detach",
            f"--data-dir={self.data_dir}",
            f"--image-cache={self.image_cache}",
            *(f"--with-image={name}" for name in self.more_images),
            f"--listen=127.0.0.1:{self.listen_port}",
            f"--pod-subnet={self.pod_subnet}",
        )

    def down(self, *arguments: str) -> str:
        """End it and all that it runs."""
        return self.kobune("down", f"--data-dir={self.data_dir}", *arguments)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ... -o json`."""
        answer: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return answer

    def wait_phase(self, name: str, phase: str, timeout_s: float = 120) -> None:
        """Wait until the VirtualMachineInstance exists and has that phase."""
        self.kubectl("wait", f"vmi/{name}", "--for=create", "--timeout=60s")
        self.kubectl(
            "wait",
            f"vmi/{name}",
            f"--for=jsonpath={{.status.phase}}={phase}",
            f"--timeout={timeout_s:.0f}s",
            timeout_s=timeout_s + 30,
        )

    def eventually(self, what: str, check: Callable[[], bool], timeout_s: float = 120) -> None:
        """Wait until `check` holds; failing kubectl calls count as not yet."""
        deadline = time.monotonic() + timeout_s
        last: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if check():
                    return
            except (AssertionError, KeyError, IndexError, subprocess.TimeoutExpired) as error:
                last = error
            time.sleep(0.3)
        raise AssertionError(f"{what} did not become true within {timeout_s:.0f} s ({last})")

    def console(self, name: str) -> Console:
        """A terminal on the guest's serial console."""
        return Console(self, name)

    def component_pid(self, name: str) -> int:
        """The process of a component, as the supervisor has recorded it."""
        return int(json.loads((self.data_dir / "run/components.json").read_text())[name])
