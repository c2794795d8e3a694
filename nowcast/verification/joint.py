"""One pass over forecast and observation, from which every balanced, categorical and plain score follows.

A pixel's class is the number of edges its value reaches. The pass counts the pixels of every pair of classes and
sums |d| and d², d = forecast − observation, for every observed class: weights, thresholds and means are then
arithmetic on a few numbers. Inside, the sums are cumulative ("observation reaches edge a and forecast reaches
edge b"), because such counts need no branch and no scatter, so that the loops become vector instructions; blocks
without rain or without usable pixels cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 256  # pixels: long enough for vector loops, short enough to be dry as a whole or to stay in the L1 cache
_ONE, _ZERO = np.float32(1), np.float32(0)  # counting in float32 is exact here and fills a vector register


@dataclass(frozen=True)
class JointHistogram:
    """Joint histogram of observed and forecast classes, one for every frame or for a sum of frames.

    Attributes:
        edges: scaled reflectivity, float32 (E,), ascending; there are K = E + 1 classes, class 0 below all edges.
        pixels: int64 (..., K, K), pixels by observed class, then forecast class.
        absolute: float64 (..., K), Σ|d| by observed class, d = forecast − observation, scaled reflectivity.
        squared: float64 (..., K), Σd² by observed class.

    >>> field = torch.tensor([0.1, 0.4, 0.6]).reshape(1, 1, 1, 1, 3)
    >>> edges = np.array([0.5], np.float32)
    >>> joint = JointHistogram.of(field + 0.2, field, torch.ones_like(field, dtype=torch.bool), edges)
    >>> joint.pixels[0, 0].tolist()
    [[1, 1], [0, 1]]
    """

    edges: NDArray[np.float32]
    pixels: NDArray[np.int64]
    absolute: NDArray[np.float64]
    squared: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        forecast: Tensor,
        observation: Tensor,
        valid: Tensor,
        edges: NDArray[np.float32],
        exact_edges: NDArray[np.float64] | None = None,
    ) -> JointHistogram:
        """The histogram of every frame, leading shape (B, T).

        Args:
            forecast: scaled reflectivity (B, T, 1, H, W).
            observation: scaled reflectivity, same shape.
            valid: bool, same shape; True = use this pixel.
            edges: scaled reflectivity, ascending, for float32 fields; they name the classes.
            exact_edges: the same edges for float64 fields; `edges` where not given.

        Raises:
            ValueError: shapes or types contradict, or a valid pixel holds a value that is not a number.
        """
        check_fields(forecast, observation, valid)
        sequences, steps = forecast.shape[:2]
        frames, classes = sequences * steps, len(edges) + 1
        reached = np.zeros((frames, classes, classes), np.int64)
        absolute, squared = np.zeros((2, frames, classes))
        double = torch.float64 in (forecast.dtype, observation.dtype)
        dtype = torch.float64 if double else torch.float32
        forecast_pixels, observed_pixels = _frames(forecast, frames, dtype), _frames(observation, frames, dtype)
        usable = _frames(valid, frames, torch.uint8)
        limits = edges if exact_edges is None or not double else exact_edges
        limits = np.asarray(limits, forecast_pixels.dtype)
        _kernel()(forecast_pixels, observed_pixels, usable, limits, reached, absolute, squared)
        for frame in np.flatnonzero(~np.isfinite(squared[:, 0])):
            wrong = "observation" if np.isfinite(forecast_pixels[frame][usable[frame] != 0]).all() else "forecast"
            raise ValueError(
                f"the {wrong} holds NaN or infinity at a valid pixel (sequence {frame // steps}, lead step "
                f"{frame % steps + 1}); a diverged model must not be scored on the rest, and pixels that a "
                f"forecaster cannot know are to be marked not valid first"
            )
        pixels = _classes_from_reached(_classes_from_reached(reached, 1), 2)
        observed = pixels.sum(axis=2) > 0
        return cls(
            np.asarray(edges, np.float32),
            pixels.reshape(sequences, steps, classes, classes),
            np.where(observed, _classes_from_reached(absolute, 1), 0.0).reshape(sequences, steps, classes),
            np.where(observed, _classes_from_reached(squared, 1), 0.0).reshape(sequences, steps, classes),
        )

    def contingency(self, edge: float) -> tuple[NDArray[np.int64], ...]:
        """Hits, misses, false alarms and correct negatives of the event value ≥ `edge`, one of `edges`."""
        k = int(np.searchsorted(self.edges, np.float32(edge))) + 1
        table = self.pixels
        return (
            table[..., k:, k:].sum((-2, -1)),
            table[..., k:, :k].sum((-2, -1)),
            table[..., :k, k:].sum((-2, -1)),
            table[..., :k, :k].sum((-2, -1)),
        )


def check_fields(forecast: Tensor, observation: Tensor, valid: Tensor, lead_steps: int | None = None) -> None:
    """Raise ValueError unless all three are (B, T, 1, H, W) of one shape, fields floating, `valid` bool."""
    if forecast.ndim != 5 or forecast.shape[2] != 1:
        raise ValueError(f"forecast has shape {tuple(forecast.shape)}, expected (B, T, 1, H, W)")
    for name, tensor in (("observation", observation), ("valid", valid)):
        if tensor.shape != forecast.shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, the forecast {tuple(forecast.shape)}")
    if valid.dtype != torch.bool:
        raise ValueError(f"valid is {valid.dtype}, expected torch.bool (True = use this pixel)")
    if not (forecast.is_floating_point() and observation.is_floating_point()):
        raise ValueError(f"fields are {forecast.dtype} and {observation.dtype}, expected floating point")
    if lead_steps is not None and forecast.shape[1] != lead_steps:
        raise ValueError(f"the forecast holds {forecast.shape[1]} lead steps, expected {lead_steps}")


def _frames(tensor: Tensor, frames: int, dtype: torch.dtype) -> NDArray[Any]:
    """Contiguous (frames, H·W) on the CPU, in the type that the pass is compiled for."""
    flat = tensor.detach().cpu().contiguous().reshape(frames, tensor[0, 0].numel() if frames else 0)
    return (flat.view(dtype) if tensor.dtype == torch.bool else flat.to(dtype)).numpy()


def _classes_from_reached(reached: NDArray[Any], axis: int) -> NDArray[Any]:
    """Totals per class from totals per edge reached: what reaches edge k but not edge k + 1."""
    total = np.zeros_like(reached.take([0], axis))
    return -np.diff(reached, axis=axis, append=total)


@cache
def _kernel() -> Callable[..., None]:
    """The compiled pass; compiled once and kept on disk where the installation or the user's cache can be written."""
    import numba  # here, because importing it costs half a second and most commands never score

    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz"}}  # NaN stays NaN
    try:
        return numba.njit(cache=True, **options)(_fill)
    except RuntimeError:  # nowhere to keep it
        return numba.njit(**options)(_fill)


def _fill(
    forecast: NDArray[Any],
    observation: NDArray[Any],
    valid: NDArray[np.uint8],
    edges: NDArray[Any],
    reached: NDArray[np.int64],
    absolute: NDArray[np.float64],
    squared: NDArray[np.float64],
) -> None:
    """Fill the totals per edge reached (index 0: every valid pixel); fields are (frames, pixels)."""
    d: float
    frames, pixels = forecast.shape
    nowhere = np.float32(-np.inf)
    observed_block = np.empty(_BLOCK, observation.dtype)
    forecast_block = np.empty(_BLOCK, forecast.dtype)
    error = np.empty(_BLOCK, np.float64)
    for i in range(frames):
        for start in range(0, pixels, _BLOCK):
            n = min(_BLOCK, pixels - start)
            f = forecast[i, start : start + n]
            o = observation[i, start : start + n]
            v = valid[i, start : start + n]
            usable = 0
            for j in range(n):
                usable += v[j]
            if usable == 0:
                continue
            sum_absolute = 0.0
            sum_squared = 0.0
            if usable == n:
                for j in range(n):
                    d = abs(np.float64(f[j]) - np.float64(o[j]))
                    observed_block[j] = o[j]
                    forecast_block[j] = f[j]
                    error[j] = d
                    sum_absolute += d
                    sum_squared += d * d
            else:
                for j in range(n):
                    ok = v[j] != 0
                    d = abs(np.float64(f[j]) - np.float64(o[j]))
                    d = d if ok else 0.0  # in two lines: a conditional load would not be a vector instruction
                    observed_block[j] = o[j] if ok else nowhere
                    forecast_block[j] = f[j] if ok else nowhere
                    error[j] = d
                    sum_absolute += d
                    sum_squared += d * d
            reached[i, 0, 0] += usable
            absolute[i, 0] += sum_absolute
            squared[i, 0] += sum_squared
            forecast_edges = 0
            for b in range(edges.shape[0]):
                count = _ZERO
                for j in range(n):
                    count += _ONE if forecast_block[j] >= edges[b] else _ZERO
                if count == _ZERO:
                    break
                reached[i, 0, b + 1] += np.int64(count)
                forecast_edges = b + 1
            for a in range(edges.shape[0]):
                count = _ZERO
                for j in range(n):
                    count += _ONE if observed_block[j] >= edges[a] else _ZERO
                if count == _ZERO:
                    break
                reached[i, a + 1, 0] += np.int64(count)
                sum_absolute = 0.0
                sum_squared = 0.0
                for j in range(n):
                    d = error[j] if observed_block[j] >= edges[a] else 0.0
                    sum_absolute += d
                    sum_squared += d * d
                absolute[i, a + 1] += sum_absolute
                squared[i, a + 1] += sum_squared
                for b in range(forecast_edges):
                    count = _ZERO
                    for j in range(n):
                        count += _ONE if (observed_block[j] >= edges[a]) & (forecast_block[j] >= edges[b]) else _ZERO
                    reached[i, a + 1, b + 1] += np.int64(count)
