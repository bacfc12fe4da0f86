"""The one door to subprocesses: what runs a program on this machine goes through here.

Commands are argument lists, never shell text. Every command has a time limit, an explicit environment and its own
session; it is logged, and its whole process group is killed when the caller is cancelled. `FakeRunner` (in
`kobune.host.run.fake`) keeps the same protocol for tests.
"""

from kobune.host.run.command import HostRunner, base_environment, run
from kobune.host.run.process import Process
from kobune.host.run.types import (
    CommandError,
    CommandFailed,
    CommandNotFound,
    CommandTimeout,
    Completed,
    Launch,
    LineCallback,
    Runner,
    RunningProcess,
    StandardStream,
)

__all__ = [
    "CommandError",
    "CommandFailed",
    "CommandNotFound",
    "CommandTimeout",
    "Completed",
    "HostRunner",
    "Launch",
    "LineCallback",
    "Process",
    "Runner",
    "RunningProcess",
    "StandardStream",
    "base_environment",
    "run",
]
