"""The launcher's command line."""

import pytest

from kobune.virt.launcher.run import Options, read_options

GIVEN = ["--uid", "u", "--namespace", "ns", "--name", "vm"]


def test_what_virt_controller_renders_is_read() -> None:
    assert read_options([*GIVEN, "--grace-period-s", "45"]) == Options(
        uid="u", namespace="ns", name="vm", grace_period_s=45.0
    )


def test_flags_may_stand_anywhere() -> None:
    assert read_options(["--stop", *GIVEN, "--verbose"]) == Options(
        uid="u", namespace="ns", name="vm", stop=True, verbose=True
    )


@pytest.mark.parametrize(
    "arguments",
    [[], GIVEN[:4], [*GIVEN, "--grace-period-s", "soon"], [*GIVEN, "--unknown", "1"], [*GIVEN[:4], "--name"], ["x"]],
)
def test_anything_else_ends_the_process_with_the_reason(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="virt-launcher: "):
        read_options(arguments)
