"""The README is executed: its commands in order, its Python, and its options checked against --help."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nowcast.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SHELL = re.findall(r"```sh\n(.*?)```", README, re.S)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
QUICK = ["--set", "training.steps=2", "--set", "training.validate_every=2", "--set", "training.batch_size=2", "--quiet"]


def commands(block: str) -> list[list[str]]:
    return [
        words for line in block.splitlines() if (words := shlex.split(line, comments=True)) and words[0] == "nowcast"
    ]


def test_the_path_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    by_hand = commands(SHELL[1])
    assert [words[1] for words in by_hand] == [
        "synthesize",
        "ingest",
        "train",
        "train",
        "evaluate",
        "forecast",
        "animate",
        "info",
    ]
    for words in by_hand:
        done = CliRunner().invoke(app, [*words[1:], *(QUICK if words[1] == "train" else [])])
        assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output}"
    assert (tmp_path / "nowcast.gif").exists() and (tmp_path / "nowcast.nc").exists()

    assert len(PYTHON) == 1
    fewer = PYTHON[0].replace('"training.steps": 20', '"training.steps": 2')
    assert fewer != PYTHON[0]
    exec(compile(fewer, "README.md", "exec"), {})
    assert (tmp_path / "rain.gif").exists()


@pytest.mark.parametrize("words", [words for block in SHELL for words in commands(block)], ids=shlex.join)
def test_every_option_exists(words: list[str]) -> None:
    shown = CliRunner().invoke(app, [words[1], "--help"]).output
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", shown), f"nowcast {words[1]} has no {option}"
    for path in (word for word in words if word.startswith("configs/")):
        assert (ROOT / path).is_file()


def test_every_link_leads_somewhere() -> None:
    for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "memel" / "README.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_make_knows_the_two_commands() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", SHELL[0], re.M):
        assert re.search(rf"^{target}:", makefile, re.M)
    assert "make test" in (ROOT / ".ci" / "run").read_text()
