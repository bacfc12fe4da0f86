"""Whether guests really run in KVM on this node, proved once per boot.

A /dev/kvm that exists proves nothing: inside some virtual machines a VM can be created and its guest hangs for ever.
The proof: the CPU offers vmx or svm, and a guest of 512 bytes runs to its end within a time limit.
"""

import asyncio
import logging
import stat
from pathlib import Path
from typing import Final

import msgspec

from kobune.host import procroot
from kobune.host.files import write_file
from kobune.host.procroot import HeldProcess
from kobune.host.run import CommandError, Runner

__all__ = ["BOOT_SECTOR", "GUEST_STATUS", "KvmProof", "Verdict", "guest_command"]

log = logging.getLogger(__name__)

KVM: Final = "/dev/kvm"
KVM_NUMBERS: Final = (10, 232)
QEMU_ID: Final = 107
TIMEOUT_S: Final = 10.0

_CODE = bytes.fromhex("baf400b010eef4")  # mov dx, 0xf4; mov al, 0x10; out dx, al; hlt
BOOT_SECTOR: Final = _CODE.ljust(510, b"\0") + b"\x55\xaa"
GUEST_STATUS: Final = (0x10 << 1) | 1
"""QEMU's exit status when the guest writes 0x10 to the port of isa-debug-exit."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome, valid for one boot of the node; `reason` is fit for a user."""

    boot_id: str
    proved: bool
    reason: str


def guest_command(disk: Path, accelerator: str) -> list[str]:
    """QEMU with the tiny guest; ends with `GUEST_STATUS` when the guest has run."""
    cpu = ["-cpu", "host"] if accelerator == "kvm" else []
    return [
        "qemu-system-x86_64", "-accel", accelerator, *cpu, "-machine", "pc", "-m", "16", "-nodefaults",
        "-no-user-config", "-display", "none", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4",
        "-drive", f"file={disk},format=raw,if=ide,snapshot=on",
    ]  # fmt: skip


class KvmProof:
    """Holds the verdict; `prove` finds or remembers it. Before that, nothing counts as proved."""

    def __init__(
        self, runner: Runner, state_dir: Path, *, device: Path = Path(KVM), proc: Path = Path("/proc")
    ) -> None:
        self._runner = runner
        self._state_dir = state_dir
        self._device = device
        self._proc = proc
        self._verdict: Verdict | None = None

    @property
    def proved(self) -> bool:
        """Whether guests run in KVM here."""
        return self._verdict is not None and self._verdict.proved

    @property
    def cpu_has_virtualization(self) -> bool:
        """Whether the CPU offers vmx or svm."""
        return "vmx" in self._cpu_flags() or "svm" in self._cpu_flags()

    async def prove(self) -> Verdict:
        """The verdict for this boot, from the state directory or by trying."""
        boot_id = (self._proc / "sys/kernel/random/boot_id").read_text().strip()
        path = self._state_dir / "kvm.json"
        try:
            known = msgspec.json.decode(path.read_bytes(), type=Verdict)
        except (FileNotFoundError, msgspec.DecodeError):
            known = None
        if known is None or known.boot_id != boot_id:
            reason = await self._try()
            known = Verdict(boot_id=boot_id, proved=not reason, reason=reason or "a test guest ran in KVM")
            write_file(path, msgspec.json.encode(known))
        self._verdict = known
        log.info("KVM is %s: %s", "proved" if known.proved else "not used", known.reason)
        return known

    async def granted_to(self, process: HeldProcess) -> bool:
        """Whether the container of `process` was given a working KVM; opens it to QEMU's user. Raises ProcessGone."""
        if not self.proved:
            return False
        try:
            await asyncio.to_thread(procroot.grant_device, process, KVM, KVM_NUMBERS, QEMU_ID)
        except FileNotFoundError:
            return False
        return True

    async def _try(self) -> str:
        """Why KVM is not usable; empty when it is."""
        try:
            if not stat.S_ISCHR(self._device.stat().st_mode):
                return f"{self._device} is no device"
        except FileNotFoundError:
            return f"there is no {self._device}"
        if not self.cpu_has_virtualization:
            return "the CPU offers neither vmx nor svm (nested virtualization is off?)"
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        disk = self._state_dir / "kvm-proof.img"
        disk.write_bytes(BOOT_SECTOR)
        try:
            done = await self._runner.run(guest_command(disk, "kvm"), timeout_s=TIMEOUT_S, check=False)
        except CommandError as error:
            return f"the test guest failed: {error}"
        finally:
            disk.unlink(missing_ok=True)
        if done.returncode != GUEST_STATUS:
            told = done.stderr.decode("utf-8", "replace").strip()[-300:]
            return f"the test guest ended with status {done.returncode}: {told}"
        return ""

    def _cpu_flags(self) -> frozenset[str]:
        for line in (self._proc / "cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                return frozenset(value.split())
        return frozenset()
