"""kubectl as its users call it: the environment's (PyPI) and the machine's own, when there is one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KUBECTLS", "Kubectl", "Outcome"]

TIMEOUT_S = 60.0


def _found() -> list[Path]:
    environment = Path(sys.executable).parent / "kubectl"
    machine = shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin")
    return [path for path in (environment, Path(machine) if machine else None) if path and path.exists()]


KUBECTLS = _found()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl against one cluster and namespace; `folder` keeps its cache, so that runs share nothing."""

    program: Path
    kubeconfig: Path
    namespace: str
    folder: Path | None = None

    def command(self, *arguments: str) -> list[str]:
        """The full command line."""
        base = [str(self.program), "--kubeconfig", str(self.kubeconfig)]
        if self.folder is not None:
            base += ["--cache-dir", str(self.folder / "cache")]
        return [*base, *(() if "-n" in arguments else ("-n", self.namespace)), *arguments]

    def run(self, *arguments: str, stdin: str = "", environment: dict[str, str] | None = None) -> Outcome:
        """Run to the end, whatever the exit status."""
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, **(environment or {})},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str, stdin: str = "", environment: dict[str, str] | None = None) -> str:
        """Run; the standard output. AssertionError with everything it said when it fails."""
        outcome = self.run(*arguments, stdin=stdin, environment=environment)
        assert outcome.status == 0, f"kubectl {' '.join(arguments)}: {outcome.stdout}{outcome.stderr}"
        return outcome.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """Run; the error output. AssertionError when it succeeds."""
        outcome = self.run(*arguments, stdin=stdin)
        assert outcome.status != 0, f"kubectl {' '.join(arguments)} succeeded: {outcome.stdout}"
        return outcome.stderr

    def object(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ARGUMENTS -o json` decoded."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found
