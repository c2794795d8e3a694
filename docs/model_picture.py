"""The picture of docs/model.md: one forecast in Lagrangian coordinates, step by step.

    python docs/model_picture.py demo/runs/finetuned [--split test] [--output docs/model.png]

Takes the window of the split with the most rain and draws the oldest observed frame where it lay, the same carried to
the issue time, the latest frame with its motion, the change that the network writes for the last lead time, the
forecast, and what was observed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot

from nowcast.archive import Archive
from nowcast.clips.split_windows import windows_of
from nowcast.models import load_model
from nowcast.models.lagrangian import Lagrangian, align
from nowcast.motion.departure import displacements
from nowcast.motion.nodes import SPACING, dense
from nowcast.motion.observed import observed_motion
from nowcast.motion.warp import warp
from nowcast.run import Run
from nowcast.units import rain_rate_from_scaled
from nowcast.visualization.colors import CLASS_COLORS, classify, rgb


def main() -> None:
    """Draw the picture of one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--output", type=Path, default=Path("docs/model.png"))
    given = parser.parse_args()
    run = Run.open(given.run)
    data = run.experiment.data
    assert data.archive is not None
    network = load_model(run)
    assert isinstance(network, Lagrangian), f"{given.run} is not a run in Lagrangian coordinates"
    windows = windows_of(Archive.open(data.archive), given.split, data, run.experiment.evaluation)
    rain = [float(windows.sequence(np.atleast_1d(start)).observation.mean()) for start in windows.starts]
    clip = windows.sequence(np.atleast_1d(windows.starts[int(np.argmax(rain))]))

    shape = (int(clip.observed.shape[-2]), int(clip.observed.shape[-1]))
    motion = observed_motion(clip.observed, clip.observed_valid)
    paths = dense(displacements(motion, data.forecast), shape)
    aligned = align(clip.observed, clip.observed_valid, paths)
    with torch.inference_mode():
        forecast = network(clip.observed, clip.observed_valid, data.forecast, motion).clamp(0, 1)
        change = network.network(aligned.frames, aligned.known, data.forecast)[0, -1, 0]
        known = network.known(clip.observed, clip.observed_valid, data.forecast, motion)[0, -1, 0]
    persisted = warp(aligned.latest[:, None], paths[:, data.forecast - 1 : data.forecast])[0, 0, 0]

    lead = data.forecast * int(windows.interval / np.timedelta64(60, "s"))
    oldest = (data.observed - 1) * int(windows.interval / np.timedelta64(60, "s"))
    figure, axes = pyplot.subplots(2, 3, figsize=(10.5, 7.4), layout="constrained")
    rgb_of = np.array([rgb(color) for color in CLASS_COLORS], np.uint8)

    def draw(place: tuple[int, int], title: str, field: torch.Tensor) -> None:
        classes = classify(rain_rate_from_scaled(field.numpy()))
        axes[place].imshow(rgb_of[classes], interpolation="nearest")
        axes[place].set_title(title, fontsize=10)

    draw((0, 0), f"observed {oldest} minutes ago, where it lay", clip.observed[0, 0, 0])
    draw((0, 1), "the same frame, carried to the issue time", aligned.frames[0, 0, 0])
    draw((0, 2), "the latest frame x, and its motion", aligned.latest[0, 0])
    rows, columns = (SPACING * np.arange(size) for size in motion.shape[-2:])
    axes[0, 2].quiver(columns, rows, *motion[0].numpy(), angles="xy", color="0.25", width=0.004)
    largest = float(change.abs().max())
    axes[1, 0].imshow(change.numpy(), cmap="PuOr", vmin=-largest, vmax=largest)
    axes[1, 0].set_title(f"the change r for +{lead} minutes", fontsize=10)
    draw((1, 1), f"forecast for +{lead}: x + r, carried along", forecast[0, -1, 0].masked_fill(~known, torch.nan))
    axes[1, 1].contour(persisted.numpy(), levels=[0.5], colors="0.25", linewidths=0.6)
    draw((1, 2), f"observed at +{lead} minutes", clip.observation[0, -1, 0])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[], xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    figure.savefig(given.output, dpi=90)
    print(given.output)


if __name__ == "__main__":
    main()
