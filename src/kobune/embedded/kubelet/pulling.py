"""What follows from a pull that failed: the reason of the waiting container, when to try again, and what is told."""

from datetime import datetime, timedelta
from typing import Final

from kobune.embedded.kubelet.memory import Memory
from kobune.embedded.kubelet.model import ImageView, ImageViewState
from kobune.kube.runtime import Event, EventType

__all__ = ["IMAGE_REASONS", "pull_failed"]

IMAGE_REASONS: Final = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
"""Reasons of waiting containers, Kubernetes' words."""


def pull_failed(
    memory: Memory, what: str, image: str, reason: str, error: str, now: datetime
) -> tuple[ImageView, list[Event]]:
    """`what` names the image's place in the pod's memory; the second failure in a row is a back-off."""
    delay = memory.back_off(what)
    events = [
        Event(EventType.WARNING, "Failed", f'Failed to pull image "{image}": {error}'),
        Event(EventType.WARNING, "Failed", f"Error: {reason}"),
    ]
    text = error
    if memory.failures(what) > 1 and reason == "ErrImagePull":
        reason, text = "ImagePullBackOff", f'Back-off pulling image "{image}": {error}'
        events.append(Event(EventType.NORMAL, "BackOff", text.partition(": ")[0]))
    return ImageView(ImageViewState.FAILED, reason, text, now + timedelta(seconds=delay)), events
