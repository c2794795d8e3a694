"""The examples of docs/verification.md run as they stand."""

import re
from pathlib import Path

import numpy as np

from nowcast.clips.windows import fixed_windows
from nowcast.evaluation import Windows

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


def test_the_examples_run(small_archive, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ARCHIVE").symlink_to(small_archive)
    world: dict = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, world)
    assert world["scores"].forecaster.values.tolist() == ["fading", "extrapolation", "persistence"]
    assert {"scores.nc", "scores.md"} <= {path.name for path in (tmp_path / "scores").iterdir()}
    assert "PairedComparison(difference=" in capsys.readouterr().out


def test_the_official_validation_windows_form_45_episodes(shared_data):
    with np.load(shared_data / "hko7-official" / "hko7_rainy_valid_times.npz") as content:
        times = content["times"].astype("datetime64[s]")
    interval = np.timedelta64(360, "s")
    starts = fixed_windows(times, 5, 20, 5, 2, interval)
    windows = Windows(None, starts, 5, 20, interval, 5)  # type: ignore[arg-type]
    assert (len(starts), len(windows.episodes())) == (2166, 45)
