"""postStart and preStop: runs a container's life-cycle handlers."""

import asyncio

import aiohttp

from kobune.api.core import Container, LifecycleHandler
from kobune.embedded.kubelet.probes import http_get
from kobune.host.cri.types import CriError, CriRuntime

__all__ = ["run_hook"]


async def run_hook(
    cri: CriRuntime, container: Container, container_id: str, pod_ip: str, hook: LifecycleHandler, limit_s: float
) -> str | None:
    """Run one handler within a limit: None for success, else why it failed."""
    try:
        async with asyncio.timeout(limit_s):
            if hook.exec is not None:
                result = await cri.exec_sync(container_id, hook.exec.command, max(int(limit_s), 1))
                if result.exit_code == 0:
                    return None
                said = (result.stdout + result.stderr).decode("utf-8", "replace").strip()
                return f"command '{' '.join(hook.exec.command)}' exited with {result.exit_code}: {said}"
            if hook.http_get is not None:
                return await http_get(container, hook.http_get, pod_ip)
            if hook.sleep is not None:
                await asyncio.sleep(hook.sleep.seconds)
    except TimeoutError:
        return f"no end within {limit_s:g} s"
    except (CriError, OSError, aiohttp.ClientError, ValueError) as error:
        return str(error)
    return None
