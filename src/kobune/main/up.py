"""`kobune up`: checks that an instance can run here, then runs it until SIGTERM or SIGINT, in front or detached."""

import asyncio
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from kobune.embedded.kubelet.instance import NodeInstance
from kobune.embedded.store import check_format
from kobune.main.archive import STORE
from kobune.main.images import OPTIONAL_IMAGES, launcher_image
from kobune.main.instance import InstanceRunning, hold_instance, running_pid
from kobune.main.preflight import check_node, check_port, check_subnets, choose_ports
from kobune.main.progress import Progress
from kobune.main.run import run_instance
from kobune.main.settings import Settings, default_data_dir, parse_listen
from kobune.main.supervisor import kill_left_components

__all__ = ["up"]


@click.command(epilog="Examples: kobune up; kobune up --detach; kobune up --control-plane-only --listen 127.0.0.1:7443")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where everything is kept; see `kobune status`.",
)
@click.option("--listen", default="127.0.0.1:6443", show_default=True, help="ADDRESS:PORT of the Kubernetes API.")
@click.option("--control-plane-only", is_flag=True, help="The API and its controllers; no node, no root needed.")
@click.option("--node-name", default="", help="Name of this machine's Node; default: its host name.")
@click.option("--pod-subnet", default="10.42.0.0/24", show_default=True, help="Addresses of the pods: IPv4[,IPv6].")
@click.option(
    "--image-cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where built images are kept; may be shared.",
)
@click.option(
    "--with-image",
    "more_images",
    multiple=True,
    type=click.Choice(OPTIONAL_IMAGES),
    help="An image to build and import as well; may be repeated.",
)
@click.option(
    "--audit-log",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Append each request that may change something, as audit.k8s.io/v1 Events.",
)
@click.option("-d", "--detach", is_flag=True, help="Return when ready; the instance goes on in the background.")
@click.option("--timeout", "timeout_s", default=600.0, show_default=True, help="Seconds to wait for --detach.")
def up(
    data_dir: Path | None,
    listen: str,
    control_plane_only: bool,
    node_name: str,
    pod_subnet: str,
    image_cache: Path | None,
    more_images: tuple[str, ...],
    audit_log: Path | None,
    detach: bool,
    timeout_s: float,
) -> None:
    """Run Kubernetes and the virtualization components on this machine."""
    host, port = parse_listen(listen)
    settings = Settings(
        data_dir=(data_dir or default_data_dir()).absolute(),
        listen_host=host,
        listen_port=port,
        node_name=node_name,
        pod_subnet=pod_subnet,
        control_plane_only=control_plane_only,
        image_cache=image_cache.absolute() if image_cache else None,
        audit_log=audit_log.absolute() if audit_log else None,
        # Fixed now: a component that is started again must ask for the image that this node was given.
        launcher_image=launcher_image(),
        more_images=more_images,
    )
    if detach:
        _detach(settings, timeout_s)
        return
    _check(settings)
    settings.prepare()
    settings = choose_ports(settings)
    logging.basicConfig(level="WARNING", stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    with hold_instance(settings.run_dir):
        kill_left_components(settings.run_dir)
        asyncio.run(run_instance(settings, Progress()))


def _check(settings: Settings) -> None:
    """Raise before anything is changed."""
    pid = running_pid(settings.run_dir)
    if pid is not None:
        raise InstanceRunning(settings.data_dir, pid)
    check_format(settings.data_dir / STORE)
    if not settings.control_plane_only:
        check_node()
        check_subnets(settings.pod_subnet, NodeInstance.of(settings.data_dir, settings.pod_subnet).network.bridge)
    check_port(settings.listen_host, settings.listen_port)


def _detach(settings: Settings, timeout_s: float) -> None:
    """Run the same command in a session of its own, show its progress, return at its ready line."""
    _check(settings)
    settings.prepare()
    log_path = settings.logs_dir / "up.log"
    command = [
        sys.executable,
        "-u",
        "-m",
        "kobune.main.entry",
        *[a for a in sys.argv[1:] if a not in ("-d", "--detach")],
    ]
    with open(log_path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    shown = 0
    deadline_s = time.monotonic() + timeout_s
    while True:
        text = log_path.read_text(errors="replace")
        end = text.rfind("\n") + 1
        click.echo(text[shown:end], nl=False)
        ready = any(line.startswith("Ready") for line in text[shown:end].splitlines())
        shown = end
        if ready:
            return
        if child.poll() is not None:
            click.echo(text[shown:], nl=False)
            raise SystemExit(child.returncode or 1)
        if time.monotonic() > deadline_s:
            child.terminate()
            raise click.ClickException(f"not ready after {timeout_s:.0f} s; see {settings.logs_dir}")
        time.sleep(0.05)
