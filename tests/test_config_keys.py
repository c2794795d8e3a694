"""docs/config.md says what the descriptions say, and no key goes without a meaning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nowcast.cli import app
from nowcast.config import DataConfig, Description, Experiment, MemelConfig, TrainingConfig
from nowcast.config_keys import described_by, expected, expected_member, meaning, reference

PAGE = Path(__file__).parents[1] / "docs" / "config.md"


def descriptions(kind: type[Description] = Experiment) -> Iterator[type[Description]]:
    yield kind
    for field in kind.model_fields.values():
        for inner in described_by(field.annotation):
            yield from descriptions(inner)


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["configs", "--schema"])
    assert printed.exit_code == 0 and printed.output == reference() + "\n"
    assert PAGE.read_text(encoding="utf-8") == printed.output, "nowcast configs --schema > docs/config.md"


@pytest.mark.parametrize("kind", dict.fromkeys(descriptions()), ids=lambda kind: kind.__name__)
def test_every_key_has_a_meaning_and_stands_on_the_page(kind: type[Description]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, field in kind.model_fields.items():
        if name != "network":
            assert len(meaning(field)) > 10 and meaning(field).endswith("."), f"{kind.__name__}.{name} has no docstring"
            assert f"{name}`: " in page and meaning(field) in page


def test_what_keys_take() -> None:
    assert expected(TrainingConfig.model_fields["batch_size"]) == "a whole number from 1 to 65536"
    assert expected(TrainingConfig.model_fields["decay_every"]) == "a whole number of at least 1, or null"
    assert expected(TrainingConfig.model_fields["decay_factor"]) == "a number above 0 and of at most 1"
    assert expected(DataConfig.model_fields["in_memory"]) == "true or false, or null"
    assert expected(DataConfig.model_fields["rows"]) == "a list of 2: a whole number each, or null"
    assert expected(DataConfig.model_fields["archive"]) == "text, or null"
    assert expected(MemelConfig.model_fields["order"]) == "paper or reference"
    assert expected_member(MemelConfig.model_fields["placement"], 3).startswith("candidate, hidden, ")
