"""`python -m kobune.embedded.apiserver`: the API server alone, for tests and benchmarks."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import uvloop

from kobune.base.errors import KobuneError
from kobune.embedded.apiserver.memory import settle
from kobune.embedded.apiserver.run import ApiServerConfig, serve


async def _serve(config: ApiServerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve(config) as running:
        settle()
        sys.stdout.write(f"ready {running.url} kubeconfig {running.kubeconfig}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="kobune.embedded.apiserver", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--listen", default="127.0.0.1:0", help="ADDRESS:PORT; port 0 takes a free one")
    parser.add_argument("--service-endpoint", action="append", default=[], metavar="NAMESPACE/NAME=HOST:PORT")
    parser.add_argument("--in-memory", action="store_true", help="keep objects in memory only")
    parser.add_argument("--log-level", default="INFO")
    arguments = parser.parse_args()
    logging.basicConfig(level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    host, _, port = arguments.listen.rpartition(":")
    config = ApiServerConfig(
        data_dir=arguments.data_dir,
        listen_host=host.strip("[]") or "127.0.0.1",
        listen_port=int(port),
        service_endpoints=dict(entry.split("=", 1) for entry in arguments.service_endpoint),
        in_memory=arguments.in_memory,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(config))
    except KobuneError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


sys.exit(main())
