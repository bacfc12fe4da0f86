"""An instance from its first start to its end: components up, and restores between two runs of theirs.

Owns when components run, when the data directory may change under them, and what comes after a restore that fails: the
old state again.
"""

import asyncio
import contextlib
import signal
from pathlib import Path

from kobune.base.errors import KobuneError, TerminalError
from kobune.main.bringup import components_up
from kobune.main.door import Door, Outcome, RestoreRequest, open_door
from kobune.main.progress import Progress
from kobune.main.restoring import Staged, finish_interrupted, put_in_place, stage, stage_replaced, unstage
from kobune.main.settings import Settings

__all__ = ["run_instance"]


async def run_instance(settings: Settings, progress: Progress) -> None:
    """Run until SIGTERM or SIGINT; the caller holds the instance's lock. Raises the error of a start that fails."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_door(settings.run_dir) as door:
        life = asyncio.ensure_future(_live(settings, progress, door))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([life, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life


async def _live(settings: Settings, progress: Progress, door: Door) -> None:
    """Components up; a restore whenever one is asked for; components up again, with the old state if need be."""
    unfinished = await asyncio.to_thread(finish_interrupted, settings.data_dir)
    if unfinished is not None:
        progress.say(f"finished the restore of {unfinished.file} that was interrupted")
    restore: _Restore | None = None
    while True:
        coming: _Restore | None = None
        try:
            async with components_up(settings, progress):
                address = f"https://{settings.listen_host}:{settings.listen_port}"
                print(f"Ready in {progress.elapsed_s:.1f} s: {address}", flush=True)
                if restore is not None:
                    restore.tell()
                    restore = None
                coming = await _asked(settings, progress, door)
        except Exception as error:  # whatever a restored state makes a start fail with, the old one is the way out
            if coming is not None or restore is None:
                raise
            if restore.error:
                restore.error += f"; and that does not start any more: {error}"
                restore.tell()
                raise
            with progress.step("the restored state does not start: back to the old one"):
                await asyncio.to_thread(restore.go_back, error)
        else:
            restore = coming
            with progress.step("objects and identities replaced"):
                await asyncio.to_thread(restore.put_in_place)


async def _asked(settings: Settings, progress: Progress, door: Door) -> "_Restore":
    """The next restore whose file is good; who asks for a bad one is told, and nothing happens."""
    while True:
        request = await door.next()
        progress.restart(request.say)
        try:
            with progress.step(f"{request.file} checked"):
                staged = await asyncio.to_thread(stage, request.file, settings.data_dir)
        except (KobuneError, OSError) as error:
            progress.listener = None
            request.finish(Outcome(error=str(error)))
        else:
            progress.say("stopping the components; guests and pods go on")
            return _Restore(request, staged, settings.data_dir, progress)


class _Restore:
    """One restore of an instance that runs. `error` says why the old state is the one to go on with."""

    def __init__(self, request: RestoreRequest, staged: Staged, data_dir: Path, progress: Progress) -> None:
        self._request = request
        self._staged = staged
        self._data_dir = data_dir
        self._progress = progress
        self._replaced: Path | None = None
        self.error = ""

    def put_in_place(self) -> None:
        """Blocks; components are stopped. Never raises what leaves the old state usable."""
        try:
            self._replaced = put_in_place(self._staged, self._data_dir)
        except (KobuneError, OSError) as error:
            unstage(self._staged, self._data_dir)
            # A disk that failed in the middle: forward is the only way that is left.
            if finish_interrupted(self._data_dir) is None:
                self.error = f"nothing was restored: {error}; the instance goes on as it was"

    def go_back(self, why: Exception) -> None:
        """Blocks; the restored state did not come up. Raises TerminalError when the old one can't be had again."""
        if self._replaced is None:
            raise TerminalError(f"the restored state does not start ({why}), and there was none before") from why
        try:
            put_in_place(stage_replaced(self._replaced, self._data_dir), self._data_dir, keep=False)
        except (KobuneError, OSError) as error:
            raise TerminalError(
                f"the restored state does not start ({why}), and the old one, in {self._replaced}, can't be put back: "
                f"{error}"
            ) from error
        self.error = f"the restored state did not start: {why}; the instance goes on as it was"

    def tell(self) -> None:
        """How it ended, to who asked."""
        self._progress.listener = None
        replaced = "" if self._replaced is None else str(self._replaced)
        self._request.finish(Outcome(error=self.error, created=self._staged.created, replaced=replaced))
