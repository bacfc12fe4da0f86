"""`kobune restore`: puts a backup in the place of an instance's objects and identities, while it runs or not."""

import shutil
from pathlib import Path

import click

from kobune.base.errors import TerminalError
from kobune.main.door import Outcome, ask_restore
from kobune.main.instance import hold_instance, running_pid
from kobune.main.restoring import put_in_place, stage, unstage
from kobune.main.settings import Settings, default_data_dir

__all__ = ["restore", "restore_file"]


class RestoreFailed(TerminalError):
    """The running instance could not be restored; the message says with what it goes on."""


@click.command(epilog="Examples: kobune restore /backups/monday.kobune; kobune restore copy --data-dir /srv/other")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="The instance's data directory.")
@click.option(
    "--timeout", "timeout_s", default=600.0, show_default=True, help="Seconds to wait for an instance that runs."
)
def restore(file: Path, data_dir: Path | None, timeout_s: float) -> None:
    """Put a backup in the place of an instance's objects and identities.

    The file is checked before anything changes. An instance that runs is stopped and started again; guests and pods
    that are in the backup go on meanwhile, others end. What was there is kept in a directory named replaced-TIME. The
    instance has the identities of the backup: its certificates, its administrator's and service accounts' tokens.
    """
    directory = (data_dir or default_data_dir()).absolute()
    run_dir = Settings(data_dir=directory).run_dir
    if running_pid(run_dir) is not None:
        outcome = ask_restore(run_dir, file.absolute(), click.echo, timeout_s)
        then = "it runs again"
    else:
        outcome = restore_file(file.absolute(), directory)
        then = "'kobune up' starts it"
    if outcome.error:
        raise RestoreFailed(outcome.error)
    click.echo(f"Restored {directory} as of {outcome.created}; {then}")
    if outcome.replaced:
        click.echo(f"What was there before is in {outcome.replaced}")


def restore_file(file: Path, data_dir: Path) -> Outcome:
    """Verify `file`, then make it the content of `data_dir`, whose instance does not run.

    Raises BadBackup, InstanceRunning or the store's errors before anything has changed.
    """
    existed = data_dir.exists()
    settings = Settings(data_dir=data_dir)
    settings.prepare()
    try:
        with hold_instance(settings.run_dir):
            staged = stage(file, data_dir)
            try:
                replaced = put_in_place(staged, data_dir)
            except BaseException:
                unstage(staged, data_dir)
                raise
    except (TerminalError, OSError) as error:
        if not existed:
            shutil.rmtree(data_dir)
        if isinstance(error, OSError):
            raise RestoreFailed(f"{data_dir} can't be written: {error}; nothing was restored") from error
        raise
    return Outcome(created=staged.created, replaced=str(replaced or ""))
