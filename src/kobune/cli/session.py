"""Opens the API that a command speaks to, and turns expected errors into one line and an exit status.

Owns the global options (kubeconfig, context, namespace) and nothing else.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import click

from kobune.base.errors import KobuneError
from kobune.cli.hints import explained

if TYPE_CHECKING:
    from kobune.kube.client.http import HttpClient

__all__ = ["Session", "command", "global_options"]

P = ParamSpec("P")

EMBEDDED_KUBECONFIGS = (Path("/var/lib/kobune/kubeconfig"), Path.home() / ".local/state/kobune/kubeconfig")


@dataclass(frozen=True, slots=True)
class Session:
    """Which API a command uses and in which namespace it looks."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple["HttpClient", str]]:
        """A client, and the namespace that the command works in."""
        # Here and not above: the HTTP library takes longer to import than everything else together.
        from kobune.kube.client.config import load_config
        from kobune.kube.client.http import HttpClient

        config = load_config(self._path(), context=self.context)
        client = HttpClient(config)
        try:
            yield client, self.namespace or config.namespace or "default"
        finally:
            await client.close()

    def options(self) -> list[str]:
        """The options that make another `kobune` use the same API and namespace."""
        named = (("--kubeconfig", self.kubeconfig), ("--context", self.context), ("--namespace", self.namespace))
        return [word for option, value in named if value for word in (option, value)]

    def _path(self) -> Path | None:
        """As kubectl finds it; after that the one that `kobune up` writes."""
        if self.kubeconfig:
            return Path(self.kubeconfig)
        if os.environ.get("KUBECONFIG") or (Path.home() / ".kube/config").exists():
            return None
        return next((path for path in EMBEDDED_KUBECONFIGS if os.access(path, os.R_OK)), None)


async def _awaited(result: Awaitable[int | None]) -> int | None:
    return await result


def global_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every verb shares."""
    for option in (
        click.option("-n", "--namespace", help="Namespace to work in; default: the context's."),
        click.option("--context", help="Context of the kubeconfig to use."),
        click.option("--kubeconfig", type=click.Path(dir_okay=False), help="Path of the kubeconfig file."),
    ):
        function = option(function)
    return function


def command(
    function: Callable[Concatenate[Session, P], Awaitable[int | None]],
) -> Callable[P, None]:
    """Run an async verb: pass it the session, print expected errors as `Error: ...`, exit with its status."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        names: dict[str, Any] = dict(kwargs)
        session = Session(names.pop("kubeconfig"), names.pop("context"), names.pop("namespace"))
        try:
            status = asyncio.run(_awaited(function(session, *args, **names)))
        except KobuneError as error:
            raise click.ClickException(explained(error)) from error
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        if status:
            raise SystemExit(status)

    return global_options(run)
