"""An old manifest as people still have it: applied as it is, and booted with another image and `running: true`."""

import os
from pathlib import Path

import pytest

from support.instance import Instance

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KOBUNE_SHARED", ROOT.parent / "shared"))
SEED = SHARED / "examples/seed-vm.yaml"


@pytest.mark.skipif(not SEED.exists(), reason="the shared examples are not beside this checkout")
def test_an_old_manifest_is_applied_and_boots_when_it_is_told_to(instance: Instance) -> None:
    manifest = SEED.read_text()
    instance.kubectl("apply", "--validate=false", "-f", "-", stdin=manifest)
    assert instance.get("vm", "test-vm")["status"]["printableStatus"] == "Stopped"
    ours = manifest.replace("kubevirt/fedora-cloud-container-disk-demo", "kobune/demo")
    ours = ours.replace("running: false", "running: true")
    instance.kubectl("apply", "--validate=false", "-f", "-", stdin=ours)
    instance.wait_phase("test-vm", "Running")
    console = instance.console("test-vm").login()
    # 1024M as the guest's kernel sees it: less what the kernel itself takes.
    assert 850_000 < int(console.run("awk '/MemTotal/ {print $2}' /proc/meminfo")) < 1_000_000
    console.close()
    instance.kubectl("delete", "vm", "test-vm", "--timeout=180s")
