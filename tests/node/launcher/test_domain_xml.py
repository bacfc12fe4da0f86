"""libvirt accepts every golden domain that this machine can run: by its schema and by its own checks of the content."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.host.run import run
from support.launcher_container import LauncherContainer

pytestmark = pytest.mark.node

GOLDEN = sorted((Path(__file__).parents[2] / "unit/virt/domain/golden").glob("*.xml"))
# libvirt refuses type='kvm' where there is no /dev/kvm, and huge pages where none are mounted.
TCG = [path for path in GOLDEN if 'type="kvm"' not in path.read_text()]


@pytest.fixture
async def container(launcher_root: Path, tmp_path: Path) -> AsyncIterator[LauncherContainer]:
    container = LauncherContainer(launcher_root, tmp_path)
    container.start()
    yield container
    container.stop()


async def test_libvirt_defines_every_domain(container: LauncherContainer) -> None:
    assert len(TCG) >= 6
    client = await container.connect()
    virsh = ["nsenter", f"--target={client.peer_pid}", "--all", "--root", "--wd=/", "--setuid=107", "--setgid=107"]
    virsh += ["virsh", "-c", "qemu+unix:///session?socket=/var/run/libvirt/libvirt/libvirt-sock"]
    refused = {}
    for path in TCG:
        xml = path.read_text()
        (container.state / "private/domain.xml").write_text(xml)
        (container.state / "private/domain.xml").chmod(0o644)
        for command in (
            ["define", "--validate", "/var/run/kubevirt-private/domain.xml"],
            ["undefine", "--nvram", "default_vm"],
        ):
            done = await run([*virsh, *command], timeout_s=30, check=False)
            if done.returncode != 0:
                refused[f"{path.name}: {command[0]}"] = done.stderr.decode()
    assert not refused, "\n".join(f"{what}: {why}" for what, why in refused.items())
    await client.close()
