"""Every pipeline from end to end at scale smoke."""

from __future__ import annotations

import csv

from pipelines import Study, kdd24_table5


def records(study: Study, name: str) -> list[dict[str, str]]:
    with (study.output_folder / name).open() as stream:
        return list(csv.DictReader(stream))


def test_table5(smoke: Study) -> None:
    report = kdd24_table5.run(smoke)
    text = (smoke.output_folder / "table5.md").read_text()
    assert text == report.markdown()
    assert "python -m pipelines.kdd24_table5 --archive" in text and "1004.25" in text
    rows = records(smoke, "table5.csv")
    assert [row["arm"] for row in rows if row["score"] == "balanced_mse"] == [
        "P-Original", "P-MEmeL", "T-Original", "T-MEmeL", "persistence",
    ]  # fmt: skip
