"""What Lagrangian coordinates cost: a training step and a forecast against the Eulerian network of the same cells.

    python benchmarks/lagrangian.py [--config configs/radar/lagrangian.yaml] [--rounds 5] [--threads 1]

Both networks read the mask and write one channel. They take turns in one process, so that other work on the machine
hits both alike; ratios are medians over rounds of CPU time. Training steps are given their motion, as stored beside the
archive; the forecast finds it by optical flow. Synthetic rain of 480×480 pixels that moves two pixels a frame.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import nn

from nowcast.experiment_file import read_experiment
from nowcast.losses import BalancedLoss
from nowcast.models import ModelForecaster, build_model
from nowcast.motion.nodes import crop_motion
from nowcast.motion.observed import observed_motion
from nowcast.training.memory import keep_freed_memory

SIDE = 480


def moving_rain(frames: int) -> torch.Tensor:
    """Scaled reflectivity (1, frames, 1, SIDE, SIDE) of rain that moves two pixels east and one south a frame."""
    noise = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((SIDE, SIDE)), (0, 0), 12)
    field = np.clip(0.2 * noise / noise.std(), 0, 1).astype(np.float32)
    return torch.from_numpy(np.stack([np.roll(field, (t, 2 * t), (0, 1)) for t in range(frames)]))[None, :, None]


def main() -> None:
    """Time both networks in turn and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/radar/lagrangian.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_freed_memory()
    experiment = read_experiment(given.config)
    data, training = experiment.data, experiment.training
    config = experiment.model.model_copy(update={"coordinates": "eulerian", "mask_channel": True})
    networks = {"eulerian": build_model(config), "lagrangian": build_model(experiment.model)}

    rain = moving_rain(data.observed + data.forecast)
    seen = torch.ones_like(rain, dtype=torch.bool)
    motion = observed_motion(rain[:, : data.observed], seen[:, : data.observed])
    crop = training.crop or SIDE
    clips = rain[..., :crop, :crop].repeat(training.batch_size, 1, 1, 1, 1)
    valid = torch.ones_like(clips, dtype=torch.bool)
    loss = BalancedLoss(training.loss_weight)

    def step(name: str) -> Callable[[], None]:
        network = networks[name].train()
        optimizer = torch.optim.Adam(network.parameters(), 1e-4)

        def run() -> None:
            inputs: tuple[object, ...] = clips[:, : data.observed], valid[:, : data.observed], data.forecast
            if name == "lagrangian":
                inputs += (torch.stack([crop_motion(motion[0], 0, 0, (crop, crop))] * len(clips)),)
            with torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bf16"):
                forecast = network(*inputs)
            optimizer.zero_grad(set_to_none=True)
            loss(forecast, clips[:, data.observed :], valid[:, data.observed :]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

        return run

    def forecast(name: str) -> Callable[[], None]:
        forecaster = ModelForecaster(networks[name], "cpu", training.precision)

        def run() -> None:
            forecaster(rain[:, : data.observed], seen[:, : data.observed], data.forecast)

        return run

    for what, make in (("training step", step), ("forecast", forecast)):
        calls = {name: make(name) for name in networks}
        seconds: dict[str, list[float]] = {name: [] for name in networks}
        for call in calls.values():
            call()
        for _ in range(given.rounds):
            for name, call in calls.items():
                begun = time.process_time()
                call()
                seconds[name].append(time.process_time() - begun)
        ratio = statistics.median(a / b for a, b in zip(seconds["lagrangian"], seconds["eulerian"], strict=True))
        spent = ", ".join(f"{name} {statistics.median(values):.2f} s CPU" for name, values in seconds.items())
        size = f"{training.batch_size} × {crop}×{crop}" if what == "training step" else f"{SIDE}×{SIDE}"
        print(f"{what} ({size}): lagrangian {ratio:.2f} × eulerian ({spent})")
    found = []
    for _ in range(given.rounds):
        begun = time.process_time()
        observed_motion(rain[:, : data.observed], seen[:, : data.observed])
        found.append(time.process_time() - begun)
    print(f"optical flow of one {SIDE}×{SIDE} frame: {statistics.median(found):.2f} s CPU, found once and stored")


if __name__ == "__main__":
    main()
