"""What every driver of loop devices keeps, fake or real. Each function gets an empty directory."""

from pathlib import Path

from kobune.host.loop import Loops

__all__ = ["LOOP_RULES"]

SIZE = 1 << 20


def backing(directory: Path, name: str) -> Path:
    path = directory / name
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


async def a_file_has_no_device_until_it_is_attached(loops: Loops, directory: Path) -> None:
    file = backing(directory, "a")
    assert await loops.find(file) is None
    device = await loops.attach(file)
    assert await loops.find(file) == device
    await loops.detach(file)
    assert await loops.find(file) is None


async def one_file_has_one_device(loops: Loops, directory: Path) -> None:
    first, second = backing(directory, "a"), backing(directory, "b")
    device = await loops.attach(first)
    assert await loops.attach(first) == device
    assert await loops.attach(second) != device
    await loops.detach(second)
    assert await loops.find(first) == device


async def giving_back_and_refreshing_what_is_not_attached_does_nothing(loops: Loops, directory: Path) -> None:
    file = backing(directory, "a")
    await loops.refresh(file)
    await loops.detach(file)
    assert file.stat().st_size == SIZE


LOOP_RULES = (
    a_file_has_no_device_until_it_is_attached,
    one_file_has_one_device,
    giving_back_and_refreshing_what_is_not_attached_does_nothing,
)
