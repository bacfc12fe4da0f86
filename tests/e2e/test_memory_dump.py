"""A dump of a running guest's memory, onto a claim: what the guest had in memory is in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.guest_shell import look, machine
from support.instance import Instance

NAME = "dumped"
GUEST_MIB = 128
ELF_CORE = 4
CHUNK_BYTES = 1 << 20


@pytest.fixture(scope="module")
def guest(instance: Instance) -> Iterator[str]:
    manifest = machine(NAME, memory=f"{GUEST_MIB}Mi")
    instance.kubectl("apply", "-f", "-", stdin=manifest)
    instance.wait_phase(NAME, "Running")
    yield NAME
    instance.kubectl("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", stdin=manifest)
    instance.kubectl("delete", "--ignore-not-found", "--timeout=60s", "pvc/dumps")


def request(instance: Instance) -> dict[str, Any]:
    found: dict[str, Any] = instance.get("vm", NAME)["status"].get("memoryDumpRequest") or {}
    return found


def dump(instance: Instance, *options: str) -> str:
    instance.kobune("memory-dump", "get", NAME, *options)
    instance.eventually("the dump is complete", lambda: request(instance).get("phase") == "Completed", 120)
    return str(request(instance)["fileName"])


def folder(instance: Instance) -> Path:
    """Where the claim's volume is on this machine."""
    volume = instance.get("pvc", "dumps")["spec"]["volumeName"]
    source = instance.get("pv", volume)["spec"]
    return Path(next(source[kind]["path"] for kind in ("local", "hostPath") if kind in source))


def has(path: Path, words: bytes) -> bool:
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(CHUNK_BYTES):
            if words in before + chunk:
                return True
            before = chunk[-len(words) :]
    return False


def test_what_the_guest_had_in_memory_is_in_the_dump(instance: Instance, guest: str) -> None:
    # Written in two halves, so that the words are nowhere but where the guest has put them together.
    (said,) = look(instance, guest, "a=remember; echo $a-to-buy-milk > /tmp/note; cat /tmp/note")
    assert "remember-to-buy-milk" in said
    name = dump(instance, "--claim-name=dumps", "--create-claim")
    path = folder(instance) / name
    with path.open("rb") as file:
        head = file.read(18)
    assert head[:4] == b"\x7fELF"
    assert int.from_bytes(head[16:18], "little") == ELF_CORE
    assert path.stat().st_size >= GUEST_MIB << 20
    assert has(path, b"remember-to-buy-milk")
    assert instance.get("pvc", "dumps")["metadata"]["annotations"]["kubevirt.io/memory-dump"] == name
    # The guest goes on, and has never had a disk of it.
    (disks,) = look(instance, guest, "ls /sys/block")
    assert "sd" not in disks
    assert instance.get("vmi", NAME)["status"]["phase"] == "Running"
    assert not [each for each in instance.get("vmi", NAME)["spec"]["volumes"] if "memoryDump" in each]


def test_a_second_dump_takes_the_place_of_the_first_and_a_removed_one_leaves_the_machine(
    instance: Instance, guest: str
) -> None:
    first = dump(instance)
    second = dump(instance)
    assert first != second
    assert [path.name for path in folder(instance).glob("*.memory.dump")] == [second]
    instance.kobune("memory-dump", "remove", NAME)
    instance.eventually("the request is gone", lambda: request(instance) == {}, 60)
    volumes = instance.get("vm", NAME)["spec"]["template"]["spec"]["volumes"]
    assert [volume["name"] for volume in volumes] == ["root"]
    assert (folder(instance) / second).exists(), "the dump is the claim's"
    told = instance.get("vm", NAME)["status"]
    assert not [each for each in told.get("conditions", []) if each["type"] == "RestartRequired"]
