"""A local copy of one resource, kept by list and watch.

Owns: the cache and its freshness. It lists, then watches from the list's revision; a watch that ends is resumed, a
revision that the server no longer has (410) leads to a new list whose differences are delivered like watched changes.
Must not: write to the API, or decide anything. Handlers are called in the event loop, must not block and must not
change objects.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from kobune.base.clock import Clock
from kobune.base.errors import KobuneError
from kobune.kube.client.clock import SystemClock
from kobune.kube.client.errors import Expired, Unavailable
from kobune.kube.client.objects import key_of, metadata_of, resource_version_of, revision, to_builtins, uid_of
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Key, Resource
from kobune.kube.client.selectors import parse_fields, parse_labels
from kobune.kube.client.types import WatchEvent, WatchEventType
from kobune.kube.informer.cache import Cache, IndexFunction

__all__ = ["Handler", "Informer"]

T = TypeVar("T")

Handler: TypeAlias = Callable[[T | None, T | None], None]
"""Called with (old, new): (None, new) for added, (old, new) for changed, (old, None) for deleted."""

log = logging.getLogger(__name__)

WATCH_TIMEOUT_S: Final = 300.0
PAGE_SIZE: Final = 500
FIRST_DELAY_S: Final = 0.1
LAST_DELAY_S: Final = 15.0


class Informer(Generic[T]):
    """List and watch of one resource, optionally of one namespace or of what selectors match."""

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        indexes: Mapping[str, IndexFunction] | None = None,
        clock: Clock | None = None,
        watch_timeout_s: float = WATCH_TIMEOUT_S,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.label_selector = label_selector
        self.field_selector = field_selector
        self.relists = 0
        """How often the whole collection was listed; more than once means that revisions were lost."""
        self._client = client
        self._cache: Cache[T] = Cache(indexes)
        self._handlers: list[Handler[T]] = []
        self._clock = clock or SystemClock()
        self._watch_timeout_s = watch_timeout_s
        self._synced = asyncio.Event()
        self._revision = ""
        self._failures = 0
        # Woken on every change of `_revision`; who waits for a write looks again.
        self._progress = asyncio.Event()

    # Lookups. Without I/O; before `wait_synced` returns they show less than there is.

    def __len__(self) -> int:
        return len(self._cache)

    def __bool__(self) -> bool:
        """An informer without objects is still one: only None is none."""
        return True

    def get(self, key: Key) -> T | None:
        """The cached object of that name."""
        return self._cache.get(key)

    def list(self, namespace: str = "") -> list[T]:
        """The cached objects, all or of one namespace, ordered by key."""
        return self._cache.list(namespace)

    def by_index(self, name: str, value: str) -> Sequence[T]:
        """The cached objects that the index finds under `value`."""
        return self._cache.by_index(name, value)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Add an index; allowed at any time."""
        self._cache.add_index(name, function)

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler` for every change; what is already cached is delivered as added, now."""
        self._handlers.append(handler)
        for key in self._cache:
            handler(None, self._cache.get(key))

    # Waiting

    async def wait_synced(self, timeout_s: float = 60.0) -> None:
        """Wait for the first list. Raises TimeoutError with the resource's name."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._synced.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.resource.plural} were not listed within {timeout_s} s") from None

    def has_seen(self, key: Key, resource_version: str, uid: str = "") -> bool:
        """Whether the cache is at least as new as a write that answered `resource_version` for that object.

        An empty `resource_version` stands for a deletion of the object with `uid`.
        """
        obj = self._cache.get(key)
        if not resource_version:
            return obj is None or uid_of(obj) != uid or metadata_of(obj).deletion_timestamp is not None
        if obj is not None and resource_version_of(obj) == resource_version:
            return True
        written = revision(resource_version)
        if written is None:
            return True
        seen = [revision(self._revision), revision(resource_version_of(obj)) if obj is not None else None]
        return any(number is not None and number >= written for number in seen)

    def selects(self, obj: object) -> bool:
        """Whether an object is one that this informer would see."""
        if self.namespace and key_of(obj).namespace != self.namespace:
            return False
        if self.label_selector and not parse_labels(self.label_selector)(metadata_of(obj).labels):
            return False
        return not self.field_selector or parse_fields(self.field_selector)(to_builtins(obj))

    async def wait_seen(self, key: Key, resource_version: str, uid: str = "", *, timeout_s: float = 5.0) -> bool:
        """Wait until `has_seen`; False when that took too long (the caller then decides on an older cache)."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self.has_seen(key, resource_version, uid):
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return False
        return True

    # The loop

    async def run(self) -> None:
        """Keep the cache until cancelled. Failures of the API are logged and tried again, without an end."""
        while True:
            try:
                if not self._revision:
                    await self._list()
                await self._watch()
            except Expired:
                log.info("%s: revision %s is gone, listing again", self.resource.plural, self._revision)
                self._revision = ""
            except KobuneError as error:
                await self._back_off(error)

    async def _back_off(self, error: KobuneError) -> None:
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(self._failures, 16), LAST_DELAY_S)
        delay_s *= random.uniform(0.8, 1.2)  # noqa: S311  (spreads clients, hides nothing)
        # A restart of the server is over after a few attempts; what lasts is worth a warning, once.
        level = {0: logging.INFO, 5: logging.WARNING}.get(self._failures, logging.DEBUG)
        self._failures += 1
        log.log(level, "watch of %s failed, again in %.1f s: %s", self.resource.plural, delay_s, error)
        await self._clock.sleep(delay_s)

    async def _list(self) -> None:
        self.relists += 1
        items: list[T] = []
        token = ""
        while True:
            page = await self._client.list(
                self.resource,
                self.namespace,
                label_selector=self.label_selector,
                field_selector=self.field_selector,
                limit=PAGE_SIZE,
                continue_token=token,
            )
            items += page.items
            token = page.continue_token
            if not token:
                break
        self._failures = 0
        self._replace(items, page.resource_version)

    def _replace(self, items: Sequence[T], resource_version: str) -> None:
        """Turn the difference between the cache and a list into changes; equal objects are not delivered."""
        listed = {key_of(obj): obj for obj in items}
        for key in self._cache:
            if key not in listed:
                self._deliver(self._cache.remove(key), None)
        for key, obj in listed.items():
            old = self._cache.get(key)
            if old is not None and uid_of(old) != uid_of(obj):
                # Deleted and created again while nobody watched: handlers must see both.
                self._deliver(self._cache.remove(key), None)
                old = None
            if old is None or resource_version_of(old) != resource_version_of(obj):
                self._cache.put(obj)
                self._deliver(old, obj)
        self._advance(resource_version)
        self._synced.set()

    async def _watch(self) -> None:
        started_s, events = self._clock.monotonic_s(), 0
        async for event in self._client.watch(
            self.resource,
            self.namespace,
            resource_version=self._revision,
            label_selector=self.label_selector,
            field_selector=self.field_selector,
            timeout_s=self._watch_timeout_s,
        ):
            self._failures, events = 0, events + 1
            self._take(event)
        if events == 0 and self._clock.monotonic_s() - started_s < 1.0:
            # A server or proxy that closes every watch at once must not make us spin.
            raise Unavailable(0, "WatchClosed", "the server closed the watch at once")

    def _take(self, event: WatchEvent[T]) -> None:
        obj = event.object
        if event.type is WatchEventType.DELETED and obj is not None:
            old = self._cache.remove(key_of(obj))
            # The event carries the last state, newer than what was cached.
            self._deliver(obj if old is not None else None, None)
        elif obj is not None:
            old = self._cache.get(key_of(obj))
            if old is not None and uid_of(old) != uid_of(obj):
                self._deliver(self._cache.remove(key_of(obj)), None)
                old = None
            self._cache.put(obj)
            self._deliver(old, obj)
        self._advance(event.resource_version)

    def _advance(self, resource_version: str) -> None:
        if resource_version:
            self._revision = resource_version
        self._progress.set()

    def _deliver(self, old: T | None, new: T | None) -> None:
        if old is None and new is None:
            return
        for handler in self._handlers:
            try:
                handler(old, new)
            except Exception:
                log.exception("a handler of %s failed", self.resource.plural)
