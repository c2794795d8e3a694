"""Every pipeline from end to end at scale smoke, by its function and by its command."""

from __future__ import annotations

import csv
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from memel import MEmeL
from nowcast.evaluation import evaluate
from nowcast.run import Run
from pipelines import Study
from pipelines.engine.scoring import trained_forecaster, validation_error
from pipelines.engine.tables import Report
from pipelines.kdd24 import gate_placement, table3, table4, table5, table8, table9
from pipelines.neurons import monosemanticity
from pipelines.neurons.weather_kinds import KINDS, Weather

GRID = {"neurons": (1, 5), "strengths": (1.0, 50.0)}


def records(study: Study, name: str) -> list[dict[str, str]]:
    with (study.output_folder / f"{name}.csv").open() as stream:
        return list(csv.DictReader(stream))


def check(study: Study, report: Report, command: str) -> None:
    text = (study.output_folder / f"{report.name}.md").read_text()
    assert text == report.markdown()
    assert f"python -m pipelines.{command} --archive" in text and "other data or another scale" in text
    assert {len(row["config_sha256"]) for row in records(study, f"{report.name}-runs")} == {64}


def test_table5(smoke: Study) -> None:
    check(smoke, table5.run(smoke), "kdd24.table5")
    rows = {row["arm"]: row for row in records(smoke, "table5") if row["score"] == "balanced_mse"}
    assert list(rows) == ["P-Original", "P-MEmeL", "T-Original", "T-MEmeL", "persistence"]
    assert {row["seeds"] for row in rows.values()} == {"2", ""} and rows["T-MEmeL"]["paper"] == "305.96"

    # The same number as `nowcast evaluate` gives, of the last checkpoint.
    plan = smoke.plan(table5.arms(smoke))
    values = []
    for seed in smoke.seed_list:
        path = plan.path(plan.run("T-MEmeL", seed))
        scores = evaluate(path, checkpoint="last", output=smoke.output_folder / f"evaluated{seed}", cases=False)
        values.append(float(scores["balanced_mse"].isel(forecaster=0).mean()))
        reference = float(scores["balanced_mse"].sel(forecaster="persistence").mean())
    assert float(rows["T-MEmeL"]["mean"]) == pytest.approx(np.mean(values))
    assert float(rows["T-MEmeL"]["std"]) == pytest.approx(np.std(values, ddof=1))
    assert float(rows["persistence"]["mean"]) == pytest.approx(reference)


def test_table3_chooses_on_validation(smoke: Study) -> None:
    check(smoke, table3.run(smoke, **GRID), "kdd24.table3")
    arms = [row["arm"] for row in records(smoke, "table3") if row["score"] == "balanced_mae"]
    assert arms == ["Original", "Naive (a)", "Naive (b)", "MEmeL", "MEmeL-Tune", "persistence"]
    grid = records(smoke, "table3-grid")
    assert [(row["neurons"], row["strength"]) for row in grid] == [
        ("1", "1.0"),
        ("1", "50.0"),
        ("5", "1.0"),
        ("5", "50.0"),
    ]
    errors = [float(row["validation_mean"]) for row in grid]
    assert [int(row["chosen"]) for row in grid] == [int(error == min(errors)) for error in errors]

    plan = smoke.plan(table3.arms(smoke, **GRID))
    run = plan.run("n = 5, Δ = 50", 0)
    scores = evaluate(plan.path(run), "valid", checkpoint="last", output=smoke.output_folder / "valid", cases=False)
    expected = sum(float(scores[e].isel(forecaster=0).mean()) for e in ("balanced_mse", "balanced_mae"))
    assert validation_error(plan, run) == pytest.approx(expected, rel=1e-5)


def test_table4(smoke: Study) -> None:
    report = table4.run(smoke, measured=100)
    assert "--measured 100" in report.markdown()
    rows = records(smoke, "table4")
    assert [row["method"] for row in rows] == ["Original", "Naive (a)", "Naive (b)", "RD"]
    assert all(int(row["neurons"]) >= 200 for row in rows)
    assert table4.run(smoke, measured=100).markdown() == report.markdown()  # measured once


def test_table8_inhibits_at_test_time(smoke: Study) -> None:
    check(smoke, table8.run(smoke), "kdd24.table8")
    plan = smoke.plan(table8.arms(smoke))
    path = plan.path(plan.run("MEmeL", 0))
    plain, inhibited = trained_forecaster(path), trained_forecaster(path, inhibited=True)
    assert all(m.statistics.begun for m in inhibited.model.modules() if isinstance(m, MEmeL))
    observed = torch.rand(2, 3, 1, 48, 48)
    seen = torch.ones_like(observed, dtype=torch.bool)
    first = inhibited(observed, seen, 4)
    assert not torch.equal(first, plain(observed, seen, 4))
    assert torch.equal(first, inhibited(observed, seen, 4))  # statistics stay as they are
    assert Run.open(path).experiment.model.memel is not None


def test_table9(smoke: Study) -> None:
    check(smoke, table9.run(smoke, **GRID), "kdd24.table9")
    rows = {row["test"]: row for row in records(smoke, "table9")}
    assert list(rows) == ["paper", "pairs", "runs", "blocks"]
    assert rows["pairs"]["cases"] == "4" and rows["runs"]["cases"] == "2"
    differences = [float(rows[test]["difference"]) for test in ("pairs", "runs", "blocks")]
    assert differences == pytest.approx([differences[0]] * 3, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("during", ["finetune", "pretrain"])
def test_gate_placement(study: Study, during: str) -> None:
    short = replace(study, finetune_steps=2, pretrain_steps=2)
    report = gate_placement.run(short, during=during)  # type: ignore[arg-type]
    check(short, report, "kdd24.gate_placement")
    arms = [row["arm"] for row in records(short, report.name) if row["score"] == "balanced_mae"]
    assert arms[:6] == ["Original", "candidate", "hidden", "update", "reset", "all"]
    assert arms[6:] == [f"{arm}, channels" for arm in arms[1:6]] + ["persistence"]


def test_monosemanticity(smoke: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    def every_other(weather: Weather) -> dict[str, np.ndarray]:
        shown = np.arange(len(weather.wet)) % 2 == 0
        return {kind: shown if kind != "dry" else np.zeros_like(shown) for kind in KINDS}

    monkeypatch.setattr(Weather, "kinds", every_other)
    report = monosemanticity.run(smoke, widths=(0.5, 1), least=2)
    check(smoke, report, "neurons.monosemanticity")
    neurons, kinds = records(smoke, "monosemanticity"), records(smoke, "monosemanticity-kinds")
    assert [row["arm"] for row in neurons] == ["0.5× Original", "0.5× MEmeL", "1× Original", "1× MEmeL"]
    assert all(0 <= float(row["above_10_mean"]) <= 100 for row in neurons)
    told = [row for row in kinds if row["kind"] != "dry"]
    assert all(row["loss_with_count"] == "2" and "; " in row["channels"] for row in told)
    assert all(row["auc_count"] == "0" for row in kinds if row["kind"] == "dry")
    assert monosemanticity.run(smoke, widths=(0.5, 1), least=2).markdown() == report.markdown()


def test_the_command(smoke: Study, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    table5.run(smoke)
    common = ["--archive", str(smoke.archive), "--scale", "smoke", "--output", str(smoke.output)]
    monkeypatch.setattr(sys, "argv", ["x", *common, "--seeds", "2", "--block-hours", "1", "--quiet"])
    monkeypatch.delitem(sys.modules, "pipelines.kdd24.table5")
    runpy.run_module("pipelines.kdd24.table5", run_name="__main__")
    assert "# Table 5" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["x", *common, "--seeds", "0,1", "--dry-run"])
    runpy.run_module("pipelines.kdd24.table5", run_name="__main__")
    assert capsys.readouterr().out.count("finished") == 8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--archive", "nowhere"], "nowhere does not exist"),
        (["--scale", "paper"], "outside the frame"),
        (["--set", "training.batch_size"], "not of the form key=value"),
        (["--seeds", "0"], "expected at least one"),
    ],
)
def test_bad_input_is_one_sentence(
    smoke: Study,
    tmp_path: Path,
    arguments: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--archive", str(smoke.archive), "--scale", "smoke", "--output", str(tmp_path), "--quiet", *arguments]
    monkeypatch.setattr(sys, "argv", ["x", *given])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(Path(table5.__file__)), run_name="__main__")
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and sentence in error and error.count("\n") == 1
