"""How fast is the demo guest with nothing around it? The yardstick for what virtual machines under Kobune cost.

    uv run python bench/bare_qemu.py [--rounds 5] [--memory-mib 128]

Prints one line a round and the median: seconds from starting qemu to the login prompt on the serial console, and QEMU's
resident memory at that moment. Software emulation (TCG), the same machine type and processor as Kobune's.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from kobune.main.images import DEMO, ensure_images
from kobune.main.settings import default_data_dir
from support.bare_guest import BareGuest, unpack_image_file

__all__ = ["seconds_to_login"]


def _archive() -> Path:
    cache = Path(os.environ.get("KOBUNE_TEST_IMAGES") or default_data_dir() / "images")
    building = ensure_images(cache, (DEMO,), lambda line: print(line, file=sys.stderr))
    # In a thread of its own: the caller may be inside of an event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, building).result()[DEMO].archive


def measure(archive: Path, memory_mib: int) -> tuple[float, float]:
    """Seconds to the login prompt, and resident MiB of QEMU there."""
    with tempfile.TemporaryDirectory(prefix="bare-qemu-") as folder:
        disk = unpack_image_file(archive, "disk/demo.qcow2", Path(folder) / "demo.qcow2")
        with BareGuest(disk, Path(folder) / "guest", memory_mib=memory_mib) as guest:
            guest.expect("login: ", timeout_s=120)
            seconds = time.monotonic() - guest.began_s
            status = Path(f"/proc/{guest.process.pid}/status").read_text()
            resident_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
            return seconds, resident_kib / 1024


def seconds_to_login(memory_mib: int = 128) -> float:
    """Seconds from starting qemu to the login prompt of the demo guest, once; builds the guest first if need be."""
    return measure(_archive(), memory_mib)[0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-mib", type=int, default=128)
    options = parser.parse_args()
    archive = _archive()
    rounds = []
    for number in range(options.rounds):
        seconds, resident_mib = measure(archive, options.memory_mib)
        rounds.append(seconds)
        print(f"round {number + 1}: login prompt after {seconds:.2f} s, QEMU {resident_mib:.0f} MiB resident")
    print(f"median {statistics.median(rounds):.2f} s, worst {max(rounds):.2f} s")


if __name__ == "__main__":
    main()
