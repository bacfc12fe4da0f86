"""Settings refuse what can't be listened on and give every component the same picture."""

from pathlib import Path

import pytest

from kobune.main.settings import Settings, SettingsError, parse_listen


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:6443", ("127.0.0.1", 6443)), ("[::1]:7443", ("::1", 7443)), ("0.0.0.0:0", ("0.0.0.0", 0))],
)
def test_an_address_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address


@pytest.mark.parametrize("text", ["6443", "localhost:6443", "127.0.0.1:", "127.0.0.1:70000", ":6443", "1.2.3:1"])
def test_anything_else_names_the_option_and_the_fix(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--listen .* give ADDRESS:PORT"):
        parse_listen(text)


def test_directories_of_secrets_are_private(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "data")
    settings.prepare()
    assert settings.run_dir.stat().st_mode & 0o777 == 0o700
    assert settings.logs_dir.stat().st_mode & 0o777 == 0o700
