"""One screen of text from an explanation and what it was made of. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from kobune.api.core import CoreEvent
from kobune.base.clock import parse_time
from kobune.cli.why.seen import Explanation, Seen

__all__ = ["age", "show"]

EVENTS_PER_OBJECT = 4
MESSAGE_LIMIT = 200


def show(seen: Seen, explanation: Explanation) -> str:
    """The text, without a final newline."""
    return "\n".join(_lines(seen, explanation))


def _lines(seen: Seen, said: Explanation) -> Iterator[str]:
    kind = "VM" if seen.vm is not None else "VMI"
    # The word that `kubectl get vm` shows, so that nobody has to translate.
    state = (seen.vm.status.printable_status if seen.vm is not None else None) or said.state
    yield f"{kind} {seen.namespace}/{seen.name}: {state}"
    yield f"  {said.summary}"
    if said.since is not None:
        yield f"  Since:     {said.since:%Y-%m-%d %H:%M:%S} UTC ({age(seen.now - said.since)} ago)"
    if said.waits_for:
        yield f"  Waits for: {said.waits_for}"
    for title, lines in (("What to do", said.advice), ("Note", said.notes)):
        if lines:
            yield f"{title}:"
            yield from (f"  - {line}" for line in lines)
    yield "Objects:"
    rows = list(_objects(seen))
    width = max(len(name) for name, _ in rows)
    yield from (f"  {name:{width}}  {state}".rstrip() for name, state in rows)
    if seen.unreadable:
        yield f"  (not shown, as you may not read them: {', '.join(seen.unreadable)})"
    events = _last_events(seen)
    if "events" not in seen.unreadable:
        yield "Events:" if events else "Events: none (they are kept for an hour)"
    for event in events:
        count = f" (x{event.count})" if event.count > 1 else ""
        what = f"{event.involved_object.kind}/{event.involved_object.name}"
        yield f"  {_age_of(seen.now, event):>5}  {event.type:7}  {event.reason}{count}  {what}: {_short(event.message)}"


def _short(message: str) -> str:
    """What fits on a line or two; the whole text is in `kubectl get events`."""
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 3]}..."


def _objects(seen: Seen) -> Iterator[tuple[str, str]]:
    if seen.vm is not None:
        told = f"{seen.vm.status.printable_status or 'new'}, runStrategy {seen.vm.spec.strategy}"
        yield f"VirtualMachine/{seen.name}", told
    if seen.vmi is not None:
        yield f"VirtualMachineInstance/{seen.name}", seen.vmi.status.phase or "Pending"
    for pod in seen.pods:
        node = f" on node {pod.spec.node_name}" if pod.spec.node_name else ""
        yield f"Pod/{pod.metadata.name}", f"{pod.status.phase or 'Pending'}{node}"
    for volume in seen.data_volumes:
        status = volume.get("status") or {}
        yield f"DataVolume/{volume['metadata']['name']}", status.get("phase") or "Pending"
    for claim in seen.claims:
        yield f"PersistentVolumeClaim/{claim.metadata.name}", claim.status.phase or "Pending"
    for name in seen.missing_claims:
        yield f"PersistentVolumeClaim/{name}", "does not exist"


def _last_events(seen: Seen) -> list[CoreEvent]:
    """The last few of each object, in order of time."""
    kept: list[CoreEvent] = []
    counts: dict[str, int] = {}
    for event in reversed(seen.events):
        key = f"{event.involved_object.kind}/{event.involved_object.name}"
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= EVENTS_PER_OBJECT:
            kept.append(event)
    return kept[::-1]


def _age_of(now: datetime, event: CoreEvent) -> str:
    last = event.series.last_observed_time if event.series is not None else None
    moment = last or event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return age(now - parse_time(moment)) if moment else "?"


def age(span: timedelta) -> str:
    """As kubectl writes it, with one unit: 12s, 5m, 3h, 4d."""
    seconds = max(0, int(span.total_seconds()))
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86400}d"
