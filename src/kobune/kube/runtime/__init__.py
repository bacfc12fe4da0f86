"""The controller runtime: decisions are pure, the loop around them does all I/O (docs/flows/controller.md)."""

from kobune.kube.runtime.controller import Controller, Execute, Refused, Watch, controller_key, naming_keys
from kobune.kube.runtime.decision import (
    Action,
    Apply,
    Create,
    Decision,
    Delete,
    Event,
    EventType,
    PatchObject,
    StatusPatch,
)
from kobune.kube.runtime.events import EventRecorder, Reference
from kobune.kube.runtime.leader import LeaderElection, LeadershipLost
from kobune.kube.runtime.metrics import Metrics
from kobune.kube.runtime.process import ControllerProcess
from kobune.kube.runtime.queue import Backoff, WorkQueue
from kobune.kube.runtime.writer import ApiWriter, NameTaken, Written

__all__ = [
    "Action",
    "ApiWriter",
    "Apply",
    "Backoff",
    "Controller",
    "ControllerProcess",
    "Create",
    "Decision",
    "Delete",
    "Event",
    "EventRecorder",
    "EventType",
    "Execute",
    "LeaderElection",
    "LeadershipLost",
    "Metrics",
    "NameTaken",
    "PatchObject",
    "Reference",
    "Refused",
    "StatusPatch",
    "Watch",
    "WorkQueue",
    "Written",
    "controller_key",
    "naming_keys",
]
