"""Opens the API that a command speaks to, and turns expected errors into one line and an exit status.

Owns what kubectl's options mean; they are declared in `options`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec

import click

from kobune.base.errors import KobuneError
from kobune.cli.hints import explained
from kobune.cli.options import SHARED, collected

if TYPE_CHECKING:
    from kobune.kube.client.config import ClientConfig
    from kobune.kube.client.http import HttpClient

__all__ = ["Session", "command"]

P = ParamSpec("P")

EMBEDDED_KUBECONFIGS = (Path("/var/lib/kobune/kubeconfig"), Path.home() / ".local/state/kobune/kubeconfig")
NO_LIMIT_S: Final = 365 * 24 * 3600.0
TELL_REQUESTS: Final = 6
"""From this verbosity on, requests are told; kubectl's number."""


@dataclass(frozen=True, slots=True)
class Session:
    """Which API a command uses, as whom, and in which namespace: what was given of the options of every command."""

    given: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def current() -> "Session":
        """As the command line that is being run says."""
        return Session(collected())

    def config(self) -> "ClientConfig":
        """Where the API is and who we are. Raises ConfigError."""
        # Here and not above: this library and the HTTP one take longer to import than everything else together.
        from kobune.kube.client.config import ClientConfig, ConfigError, load_config
        from kobune.kube.client.overrides import Overrides, overridden

        names = {name.removeprefix("api_"): value for name, value in self.given.items()}
        overrides = Overrides(**{name: names[name] for name in Overrides.__dataclass_fields__ if name in names})
        cluster, user = names.get("cluster", ""), names.get("user", "")
        try:
            base = load_config(self._path(), context=names.get("context"), cluster=cluster, user=user)
        except ConfigError:
            # An address is all that is needed where nothing else was asked for.
            if not overrides.server or names.keys() & {"kubeconfig", "context", "cluster", "user"}:
                raise
            base = ClientConfig(server="")
        return overridden(base, overrides)

    @property
    def given_namespace(self) -> str:
        """The namespace that the command line names; empty without one."""
        name: str = self.given.get("api_namespace", "")
        return name

    def namespace(self, config: "ClientConfig") -> str:
        """The namespace that the command works in."""
        return self.given_namespace or config.namespace or "default"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple["HttpClient", str]]:
        """A client, and the namespace that the command works in. Raises ConfigError."""
        from kobune.kube.client.http import DEFAULT_TIMEOUT_S, HttpClient

        config = self.config()
        self._tell_requests()
        timeout_s = self._timeout_s()
        client = HttpClient(config, timeout_s=DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s, warn=self._warn)
        try:
            yield client, self.namespace(config)
        finally:
            await client.close()

    def options(self) -> list[str]:
        """The options that make another `kobune` use the same API, identity and namespace."""
        words: list[str] = []
        for option in SHARED:
            value = self.given.get(option.name)
            if not value:
                continue
            for one in value if option.multiple else (value,):
                words += [option.flags[-1]] if option.is_flag else [option.flags[-1], str(one)]
        return words

    def _path(self) -> Path | None:
        """As kubectl finds it: the option, $KUBECONFIG, the user's file, the pod; then the one of `kobune up`."""
        if path := self.given.get("api_kubeconfig"):
            return Path(path).expanduser()
        own = Path.home() / ".kube/config"
        if os.environ.get("KUBECONFIG"):
            return None
        if own.exists():
            return own
        if "KUBERNETES_SERVICE_HOST" in os.environ and "api_context" not in self.given:
            return None
        return next((path for path in EMBEDDED_KUBECONFIGS if os.access(path, os.R_OK)), None)

    def _timeout_s(self) -> float | None:
        text: str = self.given.get("api_request_timeout", "")
        if not text:
            return None
        from kobune.base.duration import parse_duration

        try:
            seconds = float(text) if text.isdigit() else parse_duration(text).total_seconds()
        except ValueError as error:
            raise click.UsageError(f"--request-timeout: {error}") from error
        return seconds if seconds > 0 else NO_LIMIT_S

    @staticmethod
    def _warn(text: str) -> None:
        click.echo(f"Warning: {text}", err=True)

    def _tell_requests(self) -> None:
        if self.given.get("api_verbosity", 0) < TELL_REQUESTS:
            return
        import logging

        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger = logging.getLogger("kobune.kube.client")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)


async def _awaited(result: Awaitable[int | None]) -> int | None:
    return await result


def command(
    function: Callable[Concatenate[Session, P], Awaitable[int | None]],
) -> Callable[P, None]:
    """Run an async verb: pass it the session, print expected errors as `Error: ...`, exit with its status."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = asyncio.run(_awaited(function(Session.current(), *args, **kwargs)))
        except KobuneError as error:
            raise click.ClickException(explained(error)) from error
        except KeyboardInterrupt:
            raise click.Abort from None
        if status:
            raise SystemExit(status)

    return run
