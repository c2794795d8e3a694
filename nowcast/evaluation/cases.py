"""Cases worth looking at: where the first forecaster was best, middling and worst, and where it rained most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from nowcast.clips.split_windows import Windows
from nowcast.evaluation.protocols import Issued, issue
from nowcast.forecaster import Forecaster
from nowcast.units import rain_rate_from_scaled
from nowcast.verification.categorical import csi

CASE_THRESHOLD = 2.0
"""Cases are ranked by CSI at the threshold nearest to this, mm/h."""

RAINY_SHARE = 0.5
"""Best, median and worst are chosen among this share of the windows, the rainiest: a dry window is no case."""


def choose_cases(scores: xr.Dataset) -> dict[str, np.datetime64]:
    """Issue times of the cases `heaviest` (most observed rain), `best`, `median` and `worst`, each window once.

    Windows are ranked by the first forecaster's CSI near 2 mm/h, counts summed over lead times; windows for which that
    is undefined are passed over, and there are fewer cases where there are fewer windows.
    """
    first = scores.isel(forecaster=0)
    rain = first["window_rain_rate"].mean("lead_time").values
    times = scores["issue_time"].values
    chosen: dict[str, np.datetime64] = {}
    if not np.isfinite(rain).any() or not scores.sizes["threshold"]:
        return chosen
    heaviest = int(np.nanargmax(rain))
    chosen["heaviest"] = times[heaviest]
    middle = int(np.argmin(np.abs(scores["threshold"].values - CASE_THRESHOLD)))
    counts = (first[f"window_{name}"].isel(threshold=middle) for name in ("hits", "misses", "false_alarms"))
    quality = csi(*(count.sum("lead_time").values for count in counts))
    rainy = np.isfinite(quality) & (rain >= np.nanquantile(rain, 1 - RAINY_SHARE))
    rainy[heaviest] = False
    order = np.flatnonzero(rainy)[np.argsort(quality[rainy], kind="stable")]
    for name, position in (("best", len(order) - 1), ("worst", 0), ("median", (len(order) - 1) // 2)):
        if len(order) and times[order[position]] not in chosen.values():
            chosen[name] = times[order[position]]
    return chosen


def case_fields(
    forecasters: Mapping[str, Forecaster],
    windows: Windows,
    cases: Mapping[str, np.datetime64],
    protocol: str = "fixed",
) -> xr.Dataset:
    """Rain rates of some windows in mm/h: what was observed, what came, and what each forecaster made of it.

    Args:
        forecasters: name → forecaster.
        windows: the windows that the cases are among.
        cases: label → issue time.
        protocol: as in the evaluation; online, an episode is repeated up to its last case.

    Returns:
        `observed(case, observed_time, y, x)` (frames before the issue, lead times ≤ 0), `observation(case, lead_time,
        y, x)`, `forecast(forecaster, case, lead_time, y, x)`, NaN where unknown or not seen, `valid(case, lead_time,
        y, x)` (True = observation is usable), `issue_time(case)`; float32. An ensemble is shown by its mean.
    """
    wanted = {time.astype("datetime64[s]"): label for label, time in cases.items()}
    found: dict[str, Issued] = {}
    for batch in issue(forecasters, _only(windows, np.array(list(wanted)), protocol), protocol, 1, ensembles=False):
        label = wanted.get(windows.issue_times(batch.starts)[0])
        if label is not None:
            found[label] = batch
    labels = [label for label in cases if label in found]
    steps = windows.interval.astype("timedelta64[ns]")
    fields = ("case", "lead_time", "y", "x")
    forecasts = [np.stack([_rates(found[label].forecasts[name]) for label in labels]) for name in forecasters]
    sequences = [found[label].sequence for label in labels]
    return xr.Dataset(
        {
            "forecast": (("forecaster", *fields), np.stack(forecasts), {"units": "mm h-1"}),
            "observation": (fields, np.stack([_rates(s.observation) for s in sequences]), {"units": "mm h-1"}),
            "valid": (fields, np.stack([s.valid[0, :, 0].cpu().numpy() for s in sequences])),
            "observed": (
                ("case", "observed_time", "y", "x"),
                np.stack([_rates(s.observed.masked_fill(~s.observed_valid, np.nan)) for s in sequences]),
                {"units": "mm h-1"},
            ),
            "issue_time": ("case", np.array([cases[label] for label in labels], "datetime64[ns]")),
        },
        {
            "case": np.array(labels, dtype=object),
            "forecaster": np.array(list(forecasters), dtype=object),
            "lead_time": np.arange(1, windows.forecast + 1) * steps,
            "observed_time": np.arange(1 - windows.observed, 1) * steps,
        },
        {"title": "rain rates of some windows of an evaluation"},
    )


def _only(windows: Windows, issue_times: NDArray[np.datetime64], protocol: str) -> Windows:
    """The windows issued then; in the online protocol with what comes before them in their episodes."""
    starts = issue_times - (windows.observed - 1) * windows.interval
    if protocol == "online":
        parts = [
            episode[episode <= starts[np.isin(starts, episode)].max()]
            for episode in windows.episodes()
            if np.isin(starts, episode).any()
        ]
        starts = np.concatenate(parts)
    return windows.only(windows.starts[np.isin(windows.starts, starts)])


def _rates(frames: object) -> NDArray[np.float32]:
    """Rain rates (T, H, W) of scaled reflectivity (1, T, 1, H, W)."""
    return rain_rate_from_scaled(frames[0, :, 0].cpu().numpy()).astype(np.float32)  # type: ignore[index]
