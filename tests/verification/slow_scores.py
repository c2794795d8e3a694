"""Small worlds for the tests of scores: fields with rain of every class, and a slow float64 evaluator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

WEIGHTS = ((30.0, 30.0), (10.0, 10.0), (5.0, 5.0), (2.0, 2.0))


def random_case(
    seed: int, sequences: int = 3, steps: int = 2, height: int = 9, width: int = 11
) -> tuple[Tensor, Tensor, Tensor]:
    """Forecast, observation and valid of shape (sequences, steps, 1, height, width), 8-bit observation."""
    generator = torch.Generator().manual_seed(seed)
    shape = (sequences, steps, 1, height, width)
    observation = torch.randint(0, 256, shape, generator=generator).float() / 255
    observation = torch.where(torch.rand(shape, generator=generator) < 0.4, observation, torch.zeros(()))
    forecast = (observation + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)
    return forecast, observation, torch.rand(shape, generator=generator) < 0.8


def rain_rate(p: float) -> float:
    """mm/h of a scaled reflectivity, float64, written down once more and independently of nowcast.units."""
    return float(10.0 ** ((70.0 * p - 10.0 - 10.0 * math.log10(58.53)) / 15.6))


def slow_scores(
    forecast: Tensor, observation: Tensor, valid: Tensor, thresholds: Sequence[float]
) -> list[dict[str, float]]:
    """One dictionary per lead step, by the benchmark's definitions, pixel by pixel in float64."""
    result = []
    for step in range(forecast.shape[1]):
        totals = dict.fromkeys(("balanced_mse", "balanced_mae", "mse", "mae", "n"), 0.0)
        counts = {t: [0, 0, 0, 0] for t in thresholds}
        fields = (f[:, step].flatten().tolist() for f in (forecast.double(), observation.double(), valid))
        for predicted, observed, usable in zip(*fields, strict=True):
            if not usable:
                continue
            rate = rain_rate(observed)
            weight = next((w for edge, w in WEIGHTS if rate >= edge), 1.0)
            d = predicted - observed
            totals["balanced_mse"] += weight * d * d
            totals["balanced_mae"] += weight * abs(d)
            totals["mse"] += d * d
            totals["mae"] += abs(d)
            totals["n"] += 1
            for t in thresholds:
                event, warned = rate >= t, rain_rate(predicted) >= t
                counts[t][(0 if warned else 1) if event else (2 if warned else 3)] += 1
        n = totals.pop("n")
        scores = {
            name: total / (forecast.shape[0] if name.startswith("balanced") else n) if n else math.nan
            for name, total in totals.items()
        }
        for t in thresholds:
            h, m, f, c = counts[t]
            below = (h + m) * (m + c) + (h + f) * (f + c)
            scores[f"csi {t}"] = h / (h + m + f) if h + m + f else math.nan
            scores[f"pod {t}"] = h / (h + m) if h + m else math.nan
            scores[f"far {t}"] = f / (h + f) if h + f else math.nan
            scores[f"frequency_bias {t}"] = (h + f) / (h + m) if h + m else math.nan
            scores[f"hss {t}"] = 2 * (h * c - m * f) / below if below else math.nan
            by_chance = (h + m) * (h + f) / n if n else math.nan
            gss_below = h + m + f - by_chance
            scores[f"gss {t}"] = (h - by_chance) / gss_below if gss_below else math.nan
        result.append(scores)
    return result
