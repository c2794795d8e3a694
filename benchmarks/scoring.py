"""How much faster the scorecard is than numpy's searchsorted + bincount, on one thread each, in one interleaved run.

    python benchmarks/scoring.py [--rounds 9]

Both evaluators get the same 480×480 forecasts (5 → 20 frames, a round radar image) and must give the same numbers:
balanced, plain and categorical scores at the benchmark's five thresholds. The ratio of the medians is the result.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import cv2
import numpy as np
import torch

from nowcast.balance import BALANCED_WEIGHTS
from nowcast.units import THRESHOLDS, scaled_threshold
from nowcast.verification import Scorecard

EDGES = np.array([scaled_threshold(threshold) for threshold in THRESHOLDS], np.float32)
CLASS_WEIGHTS = np.array([BALANCED_WEIGHTS[0], *BALANCED_WEIGHTS])  # 0.5 mm/h is a threshold, not a weight class


def numpy_scores(forecast: np.ndarray, observation: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
    """B-MSE, B-MAE sums per frame and the joint class counts, the obvious vectorized way; fields (T, H, W)."""
    classes = len(EDGES) + 1
    results: dict[str, list] = {"balanced_mse": [], "balanced_mae": [], "squared": [], "absolute": [], "pixels": []}
    for predicted, observed, usable in zip(forecast, observation, valid, strict=True):
        predicted, observed = predicted[usable], observed[usable]
        observed_class = np.searchsorted(EDGES, observed, side="right")
        forecast_class = np.searchsorted(EDGES, predicted, side="right")
        pairs = np.bincount(observed_class * classes + forecast_class, minlength=classes**2)
        difference = predicted.astype(np.float64) - observed
        squared = np.bincount(observed_class, difference**2, classes)
        absolute = np.bincount(observed_class, np.abs(difference), classes)
        results["balanced_mse"].append(squared @ CLASS_WEIGHTS)
        results["balanced_mae"].append(absolute @ CLASS_WEIGHTS)
        results["squared"].append(squared.sum())
        results["absolute"].append(absolute.sum())
        results["pixels"].append(pairs.reshape(classes, classes))
    return {name: np.array(values) for name, values in results.items()}


def rainy_frames(frames: int, size: int, wet: float, seed: int = 0) -> np.ndarray:
    """Smooth random fields as 8-bit scaled reflectivity, a share `wet` of the pixels above 0.5 mm/h."""
    noise = np.random.default_rng(seed).normal(size=(frames, size, size)).astype(np.float32)
    smooth = np.stack([cv2.GaussianBlur(frame, (0, 0), size / 40) for frame in noise])
    smooth /= smooth.std()
    level = float(EDGES[0]) - 0.25 * float(np.quantile(smooth, 1 - wet))
    return np.rint(np.clip(level + 0.25 * smooth, 0, 1) * 255).astype(np.float32) / 255


def compare(wet: float, rounds: int, size: int = 480, steps: int = 20) -> None:
    fields = rainy_frames(steps + 1, size, wet)
    forecast, observation = np.ascontiguousarray(fields[:-1]), np.ascontiguousarray(fields[1:])
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    valid = np.broadcast_to(np.hypot(rows, columns) < size / 2, forecast.shape).copy()
    tensors = [torch.from_numpy(array)[None, :, None] for array in (forecast, observation, valid)]
    card = Scorecard(steps)
    card.update(*tensors)  # compiles
    ours, theirs = card.dataset(), numpy_scores(forecast, observation, valid)
    np.testing.assert_allclose(ours.balanced_mse, theirs["balanced_mse"], rtol=1e-9)
    np.testing.assert_allclose(ours.balanced_mae, theirs["balanced_mae"], rtol=1e-9)
    np.testing.assert_array_equal(ours.hits[:, 0], theirs["pixels"][:, 1:, 1:].sum((1, 2)))
    seconds: dict[str, list[float]] = {"numpy": [], "scorecard": []}
    for _ in range(rounds):
        start = time.process_time()
        numpy_scores(forecast, observation, valid)
        seconds["numpy"].append(time.process_time() - start)
        start = time.process_time()
        card.update(*tensors)  # streaming: `dataset` is called once, after the last window
        seconds["scorecard"].append(time.process_time() - start)
    rates = {name: steps / median(values) for name, values in seconds.items()}
    print(
        f"wet {wet:4.0%}: numpy {rates['numpy']:6.0f} frames/s, scorecard {rates['scorecard']:6.0f} frames/s, "
        f"ratio {rates['scorecard'] / rates['numpy']:.1f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for share in (0.05, 0.3, 0.9):
        compare(share, arguments.rounds)
