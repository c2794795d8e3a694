"""The arithmetic of the tables, against scipy and by hand; the paper's numbers against what the paper says of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from nowcast.verification.two_way import two_way_interval
from pipelines.engine.comparison import compared, over_seeds_and_blocks, verdict
from pipelines.engine.published import TABLE_3, TABLE_4, TABLE_5, TABLE_8, TABLE_9
from pipelines.engine.tables import Report, Section, interval_text, mean_and_spread, summary

HOURS = 60


def scores(level: float, seed: int, hours: int = HOURS) -> xr.Dataset:
    """A window an hour with two lead times; weather shared by all, noise of each."""
    weather = np.random.default_rng(0).gamma(2, 10, (hours, 2))
    values = weather + level + np.random.default_rng([seed, 1]).normal(0, 0.1, (hours, 2))
    times = np.datetime64("2020-01-01", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    both = {f"window_{name}": (("issue_time", "lead_time"), values) for name in ("balanced_mse", "balanced_mae")}
    means = {name: ("lead_time", values.mean(0)) for name in ("balanced_mse", "balanced_mae")}
    return xr.Dataset({**both, **means}, {"issue_time": times})


def test_windows_are_gathered_by_seed_and_block() -> None:
    first, second = [scores(-1, s) for s in (1, 2)], [scores(0, s) for s in (3, 4)]
    found = over_seeds_and_blocks(first, second, "balanced_mse", 6)
    by_hand = np.mean([s["balanced_mse"].mean() for s in first]) - np.mean([s["balanced_mse"].mean() for s in second])
    assert (found.seeds, found.blocks) == (2, 10) and found.difference == pytest.approx(float(by_hand))
    assert found.low < by_hand < found.high < 0 and verdict(found) == "better"


def test_one_seed_or_two_blocks_give_no_verdict() -> None:
    one = over_seeds_and_blocks([scores(-1, 1)], [scores(0, 2)], "balanced_mse", 6)
    few = over_seeds_and_blocks([scores(-1, 1), scores(-1, 2)], [scores(0, 3), scores(0, 4)], "balanced_mse", 48)
    assert one.difference == pytest.approx(-1, abs=0.1) and verdict(one) == verdict(few) == "–"
    assert verdict(two_way_interval([[1.0, 1.1, 1.2], [1.0, 1.2, 1.1]], [1, 1, 1])) == "worse"


def test_what_a_reader_can_compute_again() -> None:
    """The file of blocks holds all that the intervals need."""
    arms = {"T-Original": [scores(0, s) for s in (1, 2, 3)], "T-MEmeL": [scores(-1, s) for s in (4, 5, 6)]}
    _, mse, blocks = compared(arms, {"T-MEmeL": "T-Original"}, TABLE_5)
    rows = [row for row in blocks.records if row["score"] == "balanced_mse"]
    labels = sorted({row["block"] for row in rows})
    tables = {
        name: np.array(
            [
                [
                    next(r["sum"] for r in rows if (r["arm"], r["seed"], r["block"]) == (name, seed, label))
                    for label in labels
                ]
                for seed in range(3)
            ]
        )
        for name in arms
    }
    windows = [next(r["windows"] for r in rows if r["block"] == label) for label in labels]
    again = two_way_interval(tables["T-MEmeL"] - tables["T-Original"], windows)
    record = mse.records[1]
    assert (record["low"], record["high"]) == (pytest.approx(again.low), pytest.approx(again.high))
    assert not blocks.header and record["pairs_needed"] not in ("", "–")


def test_a_section_holds_what_was_computed() -> None:
    arms = {"T-Original": [scores(0, s) for s in (1, 2, 3)], "T-MEmeL": [scores(-1, s) for s in (4, 5, 6)]}
    mae, mse, _ = compared(arms, {"T-MEmeL": "T-Original"}, TABLE_5, block_hours=6, reference=scores(9, 0))
    assert [line[0] for line in mse.lines] == ["T-Original", "T-MEmeL", "persistence"]
    record = mse.records[1]
    values = [float(s["balanced_mse"].mean()) for s in arms["T-MEmeL"]]
    assert record["mean"] == pytest.approx(np.mean(values)) and record["std"] == pytest.approx(np.std(values, ddof=1))
    assert record["shown"] == "better" and record["paper"] == 305.96 and record["block_hours"] == 6
    assert mse.lines[1][-2:] == ["305.96", "-1.29"] and mae.lines[1][-2:] == ["1001.56", "-0.18"]
    assert compared(arms, {}, {})[0].header[-1] == "could show"  # nothing published, no column for it


def test_text_of_numbers() -> None:
    assert mean_and_spread([2.0]) == "2.00" and mean_and_spread([np.nan]) == "–"
    assert mean_and_spread([1.0, np.nan, 3.0], "+.1f") == "+2.0 ± 1.4"
    assert interval_text(np.nan, 1) == "–" and interval_text(-1, 0.01) == "[-1.00, +0.0100]"
    assert summary([1.0, 3.0], "x") == {"x_mean": 2.0, "x_std": pytest.approx(2**0.5), "x_count": 2}


def test_reports_are_written_whole(tmp_path) -> None:
    section = Section("S", ["", "b"], [["x", "1"]], [{"a": 1.5, "b": float("nan")}, {"a": 2, "c": "y"}])
    report = Report("r", "Title", "Words.", [section], ["note"], ["fact"])
    assert report.write(tmp_path).read_text() == report.markdown()
    assert (tmp_path / "r.csv").read_text().split() == ["a,b,c", "1.5,,", "2,,y"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.csv", "r.md"]


def test_published_numbers_agree_with_one_another() -> None:
    """The paper's text and its other tables repeat these numbers: a mistyped one would not fit."""
    for name in ("balanced_mae", "balanced_mse"):
        assert TABLE_5["T-Original"][name] == TABLE_3["Original"][name]  # "used in the main experiment"
        assert TABLE_8["MEmeL"][name] == TABLE_3["MEmeL"][name]
    mean = {arm: sum(TABLE_3[arm].values()) / 2 for arm in ("Original", "MEmeL-Tune")}
    assert mean["Original"] == pytest.approx(TABLE_9["Original"], abs=0.0051)
    assert mean["MEmeL-Tune"] == pytest.approx(TABLE_9["MEmeL-Tune"], abs=0.0051)
    improved = {name: (1 - TABLE_5["T-MEmeL"][name] / TABLE_5["T-Original"][name]) * 100 for name in TABLE_3["MEmeL"]}
    assert improved["balanced_mae"] == pytest.approx(0.18, abs=0.005)  # Section 4.4
    assert improved["balanced_mse"] == pytest.approx(1.29, abs=0.005)
    small = {name: (1 - TABLE_3["MEmeL"][name] / TABLE_3["Original"][name]) * 100 for name in TABLE_3["MEmeL"]}
    assert small["balanced_mae"] == pytest.approx(0.02, abs=0.005)
    assert small["balanced_mse"] == pytest.approx(0.01, abs=0.005)
    assert 2 * stats.t.sf(abs(TABLE_9["t"]), 5) == pytest.approx(TABLE_9["p"], abs=0.005)
    # Section 4.3: both naive methods intensify monosemanticity, training alone lessens it a little, Reversed
    # Deactivation most; every method moves the neurons further than the one before.
    decrease, update = ({arm: row[name] for arm, row in TABLE_4.items()} for name in TABLE_4["RD"])
    assert decrease["Naive (b)"] < decrease["Naive (a)"] < 0 < decrease["Original"] < decrease["RD"]
    assert update["Original"] < update["Naive (a)"] < update["Naive (b)"] < update["RD"]
    assert decrease["RD"] / update["RD"] == pytest.approx(0.013 / 0.189)  # the pair that the text repeats
