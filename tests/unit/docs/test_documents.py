"""What the documents name exists."""

import re
from pathlib import Path

import pytest

from kobune.cli.app import COMMANDS
from kobune.main.entry import INSTANCE_COMMANDS

ROOT = Path(__file__).parents[3]
PATHS = re.compile(r"`((?:src|docs|images|bench|tests|examples|scripts|deploy)(?:/[\w.\-]+)*)`")


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_the_paths_that_a_document_names_exist(document: str) -> None:
    named = PATHS.findall((ROOT / document).read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_links_inside_of_the_repository_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_of_the_readme_exist() -> None:
    # `kobune start`, and in tables `stop`, `restart`, ... after a first full command.
    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"\bkobune ([a-z][a-z-]+)", text)) - {"component"}
    known = {name for name, _, _ in (*COMMANDS, *INSTANCE_COMMANDS)}
    assert named <= known, named - known
    assert {"up", "down", "console", "start", "stop"} <= named
