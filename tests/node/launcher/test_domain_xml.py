"""libvirt accepts every golden domain that this machine can run: by its schema and by its own checks of the content."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kobune.host.run import run
from support.launcher_container import LauncherContainer

pytestmark = pytest.mark.node

GOLDEN = sorted((Path(__file__).parents[2] / "unit/virt/domain/golden").glob("*.xml"))
# libvirt refuses type='kvm' where there is no /dev/kvm, and huge pages where none are mounted; its schema does not.
TCG = [path for path in GOLDEN if 'type="kvm"' not in path.read_text()]


@pytest.fixture
async def container(launcher_root: Path, tmp_path: Path) -> AsyncIterator[LauncherContainer]:
    container = LauncherContainer(launcher_root, tmp_path)
    container.start()
    yield container
    container.stop()


async def test_libvirt_knows_every_element_of_what_this_machine_cannot_run(container: LauncherContainer) -> None:
    others = [path for path in GOLDEN if path not in TCG]
    assert others
    client = await container.connect()
    for path in others:
        said = await _virsh(container, client.peer_pid, path.read_text(), "define", "--validate")
        assert "failed to validate" not in said, path.name
    broken = others[0].read_text().replace("<devices>", "<devices><nonsense/>")
    assert "failed to validate" in await _virsh(container, client.peer_pid, broken, "define", "--validate")
    await client.close()


async def test_libvirt_defines_every_domain(container: LauncherContainer) -> None:
    assert len(TCG) >= 6
    client = await container.connect()
    refused = {}
    for path in TCG:
        xml = path.read_text()
        for command in (["define", "--validate"], ["undefine", "--nvram"]):
            if said := await _virsh(container, client.peer_pid, xml, *command):
                refused[f"{path.name}: {command[0]}"] = said
    assert not refused, "\n".join(f"{what}: {why}" for what, why in refused.items())
    await client.close()


async def _virsh(container: LauncherContainer, pid: int, xml: str, *command: str) -> str:
    """What virsh in the container complains of; empty when it does what it was told."""
    virsh = ["nsenter", f"--target={pid}", "--all", "--root", "--wd=/", "--setuid=107", "--setgid=107"]
    virsh += ["virsh", "-c", "qemu+unix:///session?socket=/var/run/libvirt/libvirt/libvirt-sock"]
    (container.state / "private/domain.xml").write_text(xml)
    (container.state / "private/domain.xml").chmod(0o644)
    what = "/var/run/kubevirt-private/domain.xml" if command[0] == "define" else "default_vm"
    done = await run([*virsh, *command, what], timeout_s=30, check=False)
    return done.stderr.decode() if done.returncode != 0 else ""
