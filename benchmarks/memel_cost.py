"""What MEmeL costs in a training step of the ConvGRU encoder-forecaster at the paper's setting.

    python -m benchmarks.memel_cost --batch 16 --steps 5 --threads 1 --precision fp32

Prints three independent answers. *Interleaved*: steps of one model with and without its six modules (put into
evaluation mode, where they return their argument) alternate, so that a busy machine slows both; the ratio
carries the noise of whole steps. *In place* (CPU only): the time inside the modules in these steps, forward,
with caches as cold as the convolutions leave them, and with the isolated backward added. *Isolated*: the
calls of the modules alone, forward and backward, on states of the same shapes and as many as in a step,
against the median step without
them: a small number measured for itself, though with warmer caches.

Times are CPU time of the process on CPU, and wall time between synchronizations on CUDA. glibc gives large
blocks back to the system and faults them in again, which takes a tenth of a step, varies by several percent
and has nothing to do with the modules; to keep it out, run with

    MALLOC_TRIM_THRESHOLD_=4000000000 MALLOC_MMAP_THRESHOLD_=4000000000
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from memel import MEmeL
from nowcast.config import ConvGRUConfig, MemelConfig
from nowcast.models import build_model

OBSERVED = LEAD_STEPS = 10  # frames of 120 × 120 pixels: the paper's physics task
SIZE = 120


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each kind, after one to warm up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16: autocast")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--neurons", type=int, default=1)
    parser.add_argument("--order", choices=["paper", "reference"], default="paper")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with_modules, without, share, inside = interleaved(options)
    forward, backward = isolated(options)
    print(
        f"batch {options.batch}, {options.precision}, {options.device}, {options.threads} thread(s), "
        f"{options.neurons} neuron(s), order {options.order}, torch {torch.__version__}"
    )
    print(f"step without {without:.3f} s, with {with_modules:.3f} s ({options.steps} of each)")
    whole = 100 * (with_modules / without - 1)
    print(f"interleaved: {whole:+.2f} % of the medians, {100 * share:+.2f} % median of neighboring pairs")
    answers = {"in place": inside + backward, "isolated": forward + backward}
    for name, seconds in answers.items():
        print(f"{name}: {1000 * seconds:.1f} ms a step, {100 * seconds / without:+.2f} %")


def interleaved(options: argparse.Namespace) -> tuple[float, float, float, float]:
    """Medians: a step with and without modules (s), ratio of paired steps, time inside modules (s)."""
    device = torch.device(options.device)
    memel = MemelConfig(neurons=options.neurons, order=options.order)
    model = build_model(ConvGRUConfig(memel=memel)).to(device).train()
    modules = [module for module in model.modules() if isinstance(module, MEmeL)]
    assert len(modules) == 6
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    frames = torch.rand(options.batch, OBSERVED + LEAD_STEPS, 1, SIZE, SIZE, device=device)
    observed, later = frames[:, :OBSERVED], frames[:, OBSERVED:]
    seen = torch.ones_like(observed, dtype=torch.bool)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(options):
            forecast = model(observed, seen, LEAD_STEPS)
        (forecast.float() - later).square().mean().backward()
        optimizer.step()

    entered, inside = [0.0], [0.0]

    def enter(*_: Any) -> None:
        entered[0] = time.process_time()

    def leave(*_: Any) -> None:
        inside[0] += time.process_time() - entered[0]

    for module in modules:
        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    spent: list[float] = []
    for index in range(2 * options.steps + 2):
        # 0 1 1 0 0 1 1 0 …: neither kind always follows the other
        inhibiting = (index + 1) // 2 % 2 == 1
        for module in modules:
            module.train(inhibiting)
        inside[0] = 0.0
        seconds[inhibiting].append(timed(step, device))
        if inhibiting:
            spent.append(inside[0])
    assert all(int(module.statistics.batches) == 10 * (options.steps + 1) for module in modules)
    pairs = zip(seconds[True][1:], seconds[False][1:], strict=True)
    share = statistics.median(a / b - 1 for a, b in pairs)
    medians = [statistics.median(seconds[kind][1:]) for kind in (True, False)]
    return medians[0], medians[1], share, statistics.median(spent[1:])


def isolated(options: argparse.Namespace, repeats: int = 15) -> tuple[float, float]:
    """Median seconds of all calls that a step makes of its six modules: forward, backward."""
    device = torch.device(options.device)
    calls: list[tuple[MEmeL, torch.Tensor]] = []
    for channels, size in ((64, 24), (192, 8), (192, 4)) * 2:  # encoder and forecaster
        memel = MEmeL(neurons=options.neurons, order=options.order).to(device)
        shape = (options.batch, channels, size, size)
        # The gates, and so the states that MEmeL sees, are float32 under autocast too.
        calls += [(memel, torch.randn(shape, device=device, requires_grad=True)) for _ in range(10)]
    states = [z for _, z in calls]
    arriving = {z.shape: torch.randn(z.shape, device=device) for z in states}
    results: list[torch.Tensor] = []

    def forward() -> None:
        results[:] = [memel(z) for memel, z in calls]

    def backward() -> None:
        torch.autograd.grad(results, states, [arriving[z.shape] for z in states])

    seconds = [(timed(forward, device), timed(backward, device)) for _ in range(repeats + 2)][2:]  # late start
    return statistics.median(s for s, _ in seconds), statistics.median(s for _, s in seconds)


def autocast(options: argparse.Namespace) -> Any:
    """bf16 autocast where asked for."""
    if options.precision == "fp32":
        return nullcontext()
    return torch.autocast(torch.device(options.device).type, torch.bfloat16)


def timed(step: Callable[[], None], device: torch.device) -> float:
    """Seconds of one step: CPU time, or wall time to the end of the device's queue."""
    if device.type == "cpu":
        start = time.process_time()
        step()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    step()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
