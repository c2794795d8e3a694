"""Time of a training step relative to the obvious implementation of the same network, in one interleaved run.

    python benchmarks/training.py [--config configs/hko7/convgru.yaml] [--batch 4] [--rounds 3] [--threads 1]

The yardstick convolves input and state at every time step, the zeros at the start included, and lets freed memory go
back to the kernel. Every arm runs in a process of its own, round after round; ratios are medians over rounds of the
CPU time per step, memory is the peak over the import.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

ARMS = ("obvious", "ours", "ours, memory kept", "ours, memory kept, bf16", "ours, memory kept, MEmeL")


def measure(arm: str, config: str, batch: int, steps: int, threads: int) -> dict[str, float]:
    """Seconds of CPU a step and peak memory (MiB) of one arm, in this process."""
    import torch

    from nowcast.config import MemelConfig
    from nowcast.experiment_file import read_experiment
    from nowcast.losses import BalancedLoss
    from nowcast.models import build_model
    from nowcast.models.convgru import ConvGRU
    from nowcast.models.recurrence import State, at_least_float32
    from nowcast.training.memory import disable_malloc_trim

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    experiment = read_experiment(config)
    options = experiment.model.model_copy(update={"memel": MemelConfig() if "MEmeL" in arm else None})
    model = build_model(options)
    if "memory kept" in arm:
        disable_malloc_trim()
    if arm == "obvious":

        def step_by_step(self: ConvGRU, inputs: torch.Tensor | int, state: State | None) -> tuple[torch.Tensor, State]:
            states = []
            for t in range(inputs if isinstance(inputs, int) else inputs.shape[1]):
                if isinstance(inputs, int):
                    assert state is not None
                    frame = state[0].new_zeros(len(state[0]), self.input_to_hidden.in_channels, *state[0].shape[2:])
                else:
                    frame = inputs[:, t]
                if state is None:
                    state = (frame.new_zeros(len(frame), self.hidden, *frame.shape[2:]),)
                shares = self.input_to_hidden(frame), self.hidden_to_hidden(state[0])
                state = self.advance(*map(at_least_float32, shares), state)
                states.append(state[0])
            assert state is not None
            return torch.stack(states, 1), state

        ConvGRU.forward = step_by_step  # type: ignore[method-assign]

    data, loss = experiment.data, BalancedLoss()
    size = (
        (data.rows[1] - data.rows[0], data.columns[1] - data.columns[0]) if data.rows and data.columns else (128, 128)
    )
    frames = torch.rand(batch, data.observed + data.forecast, 1, *size)
    valid = torch.ones(batch, data.forecast, 1, *size, dtype=torch.bool)
    seen = torch.ones(batch, data.observed, 1, *size, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled="bf16" in arm):
            forecast = model(frames[:, : data.observed], seen, data.forecast)
        optimizer.zero_grad()
        loss(forecast, frames[:, data.observed :], valid).backward()
        torch.nn.utils.clip_grad_value_(model.parameters(), 50.0)
        optimizer.step()

    step()
    begun = time.process_time()
    for _ in range(steps):
        step()
    seconds = (time.process_time() - begun) / steps
    return {"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - base}


def main() -> None:
    """Run every arm in turn and print the ratios to the yardstick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/hko7/convgru.yaml")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2, help="timed steps per process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        print(json.dumps(measure(given.arm, given.config, given.batch, given.steps, given.threads)))
        return

    found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for _ in range(given.rounds):
        for arm in ARMS:
            done = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--arm", arm], capture_output=True, text=True, check=True
            )
            found[arm].append(json.loads(done.stdout))
    print(
        f"{given.config}, batch {given.batch}, {given.threads} thread(s), {given.rounds} rounds of {given.steps} steps"
    )
    for arm in ARMS:
        ratios = [
            ours["seconds"] / obvious["seconds"] for ours, obvious in zip(found[arm], found["obvious"], strict=True)
        ]
        print(
            f"{arm:<28} {statistics.median(ratios):5.2f} × the obvious step "
            f"({statistics.median(each['seconds'] for each in found[arm]):.2f} s CPU), "
            f"peak {statistics.median(each['mib'] for each in found[arm]):.0f} MiB"
        )


if __name__ == "__main__":
    main()
