"""How the default model is made: days of all kinds of weather as one archive, a small package, figures in a card."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from nowcast.archive import Archive
from nowcast.synthetic.synthesize import synthesize
from pipelines.default_model.card import card_lines, read_rows, write_rows
from pipelines.default_model.package import ranges
from pipelines.default_model.weather import PARTS, Part, gather, make_archive


def test_days_of_other_intervals_become_one_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SIZE": 48, "FRAMES": 12, "VALID_EVERY": 3}.items():
        monkeypatch.setattr(f"pipelines.default_model.weather.{name}", value)
    parts = [Part("weak", 500, 10, 1, 1), Part("convective", 2000, 5, 2, 2)]
    archive = Archive.open(make_archive(tmp_path, parts, workers=1, progress=False))
    assert archive.interval == np.timedelta64(6, "m") and len(archive.days) == 3
    assert {name: len(days) for name, days in archive.splits.items()} == {"train": 2, "valid": 1}
    slots = (archive.times - archive.times.astype("datetime64[D]")) / np.timedelta64(6, "m")
    assert slots.max() == 11 and np.array_equal(slots, np.rint(slots))


def test_every_other_day_trusts_weak_echoes(tmp_path: Path) -> None:
    part = synthesize(tmp_path / "part", days=2, seed=1, size=64, frames_per_day=12, climate="weak", progress=False)
    days = gather([part], tmp_path / "radar")
    with np.load(part.path / "hko_data" / "mask_dat.npz") as masks:
        in_view = ~masks["exclude_mask"].astype(bool)
    shares = []
    for day in days:
        folder = tmp_path / "radar" / "radarPNG_mask" / str(day).replace("-", "/")
        usable = [np.frombuffer(zlib.decompress(path.read_bytes()), np.uint8) for path in folder.glob("*.mask")]
        assert len(usable) >= 10
        shares.append(np.mean([mask.reshape(64, 64)[in_view].mean() for mask in usable]))
    assert shares[0] == 1 and shares[1] < 0.999


def test_the_weather_is_of_many_kinds() -> None:
    assert {"convective", "mixed", "weak"} <= {part.climate for part in PARTS}
    assert ranges(PARTS) == {"interval_seconds": [300, 600], "pixel_meters": [500, 2000]}
    assert len({part.seed for part in PARTS}) == len(PARTS)  # no day twice


def test_figures_survive_the_file_and_become_shares_in_the_card(tmp_path: Path) -> None:
    fixed = {"set": "somewhere", "pixel_m": 1000, "interval_min": 5.0, "windows": 3}
    errors = {"persistence": 400.0, "extrapolation": 200.0, "sprog": 160.0, "default": 120.0, "blend": 80.0}
    rows = [
        {**fixed, "forecaster": name, "balanced_mse": error, "balanced_mae": 2 * error, "csi_2": 0.3, "csi_10": 0.1}
        for name, error in errors.items()
    ]
    write_rows(tmp_path / "scores.csv", rows)
    alone, issued = card_lines(read_rows(tmp_path / "scores.csv"))[-2:]
    assert "| somewhere | 1000 m, 5 min, 3 | network alone | 120; 0.60, 0.75 | 240; 0.60, 0.75 |" in alone
    assert "| as issued, blended | 80; 0.40, 0.50 | 160; 0.40, 0.50 | 0.300, 0.300, 0.300; 0.300 |" in issued
