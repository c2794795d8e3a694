"""What scores and cases are called in files: long name and units of every variable."""

from __future__ import annotations

from typing import Any

import xarray as xr

RATIO = "1"
NAMES = {
    "csi": ("critical success index, hits / (hits + misses + false alarms)", RATIO),
    "hss": ("Heidke skill score", RATIO),
    "pod": ("probability of detection", RATIO),
    "far": ("false alarm ratio", RATIO),
    "gss": ("Gilbert skill score (equitable threat score)", RATIO),
    "ets": ("equitable threat score (Gilbert skill score)", RATIO),
    "frequency_bias": ("frequency bias, forecast events / observed events", RATIO),
    "hits": ("pixels forecast and observed at or above the threshold", RATIO),
    "misses": ("pixels observed but not forecast at or above the threshold", RATIO),
    "false_alarms": ("pixels forecast but not observed at or above the threshold", RATIO),
    "correct_negatives": ("pixels neither forecast nor observed at or above the threshold", RATIO),
    "fss": ("fractions skill score", RATIO),
    "gdl": ("gradient difference, sum per frame", RATIO),
    "ssim": ("structural similarity", RATIO),
    "log_spectral_distance": ("distance of log spectra in dB", RATIO),
    "power_ratio": ("spectral power, forecast / observed", RATIO),
    "crps": ("continuous ranked probability score", "mm h-1"),
    "rank_histogram": ("share of observations with a rank among the members", RATIO),
    "reliability": ("observed frequency where an event is forecast with a probability", RATIO),
    "reliability_count": ("pixels where an event is forecast with a probability", RATIO),
    "known": ("share of valid pixels that the forecaster knows", RATIO),
    "balanced_mse": ("balanced mean squared error, sum of w d² per frame", RATIO),
    "balanced_mae": ("balanced mean absolute error, sum of w |d| per frame", RATIO),
    "sequences": ("number of windows scored", RATIO),
    "valid_pixels": ("number of pixels scored", RATIO),
    "coverage": ("share of the valid pixels scored", RATIO),
    "fallback": ("whether a simpler forecaster answered", RATIO),
    "rain_rate": ("mean observed rain rate", "mm h-1"),
    "threshold": ("rain rate that makes an event", "mm h-1"),
    "window": ("width of a neighborhood in pixels", RATIO),
    "wavelength": ("wavelength in pixels", RATIO),
    "rank": ("rank of the observation among the members", RATIO),
    "probability": ("share of members that reach the threshold", RATIO),
    "forecaster": ("name of the forecaster", None),
    "case": ("why the window was chosen", None),
    "lead_time": ("time after the issue time", None),
    "observed_time": ("time relative to the issue time", None),
    "issue_time": ("time at which the forecast is issued", None),
    "forecast": ("forecast rain rate", "mm h-1"),
    "observation": ("observed rain rate at the time forecast", "mm h-1"),
    "observed": ("observed rain rate before the issue", "mm h-1"),
    "valid": ("1 where the observation is usable", RATIO),
}
"""Variable → long name and units (None: labels, and times, whose units xarray writes)."""
BEST = {
    **dict.fromkeys(("csi", "hss", "pod", "gss", "ets", "frequency_bias", "fss", "ssim", "power_ratio", "known"), 1.0),
    **dict.fromkeys(("balanced_mse", "balanced_mae", "mse", "mae", "far", "gdl", "log_spectral_distance", "crps"), 0.0),
}
"""Variable → the value of a perfect forecast."""
STANDARD = {
    "lead_time": "forecast_period",
    "issue_time": "forecast_reference_time",
    "forecast": "rainfall_rate",
    "observation": "rainfall_rate",
    "observed": "rainfall_rate",
}
GRID = ("y", "x", "crs")
"""Coordinates that describe themselves (`nowcast.archive.Archive.coordinates`)."""
PER_WINDOW = "window_"
UDUNITS = {"dB": RATIO, "pixel": RATIO}
"""Units of the scores that UDUNITS, and with it CF, does not know; the long name tells them."""


def with_cf_names(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with a long name, units and, where CF has one, a standard name on every variable.

    What a variable says of itself stays, but for units that CF does not know.
    """
    named = dataset.copy()
    for name, variable in named.variables.items():
        if name in GRID:
            continue
        base = str(name).removeprefix(PER_WINDOW)
        long_name, units = NAMES.get(base, (str(name).replace("_", " "), RATIO))
        attributes: dict[str, Any] = {"long_name": long_name if base == name else f"{long_name}, of one window"}
        if units is not None and variable.dtype.kind in "fiub":
            attributes["units"] = units
        if base in BEST:
            attributes["best_value"] = BEST[base]
        if name in STANDARD:
            attributes["standard_name"] = STANDARD[str(name)]
        if "crs" in dataset.coords and {"y", "x"} <= set(variable.dims):
            attributes["grid_mapping"] = "crs"
        attributes |= variable.attrs
        if attributes.get("units") in UDUNITS:
            attributes |= {"units": UDUNITS[attributes["units"]], "long_name": long_name}
        named[name].attrs = attributes
    return named
