"""Device and precision, decided in one place."""

from __future__ import annotations

import pytest
import torch

from nowcast import NowcastError
from nowcast.device import choose_device, run_network


class OneConvolution(torch.nn.Module):
    """Remembers in which type it computed."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, observed: torch.Tensor, observed_valid: torch.Tensor, lead_steps: int) -> torch.Tensor:
        frame = self.convolution(observed[:, -1])
        self.computed_in = frame.dtype
        return frame[:, None].repeat(1, lead_steps, 1, 1, 1)


def test_precision_is_that_of_the_convolutions_and_forecasts_are_float32() -> None:
    network, observed = OneConvolution(), torch.rand(2, 3, 1, 6, 6)
    seen = torch.ones_like(observed, dtype=torch.bool)
    exact, coarse = run_network(network, observed, seen, 4), run_network(network, observed, seen, 4, "bf16")
    assert network.computed_in == torch.bfloat16
    assert exact.dtype == coarse.dtype == torch.float32 and exact.shape == (2, 4, 1, 6, 6)
    assert 0 < (exact - coarse).abs().max() < 0.05


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(NowcastError, match="this machine has no usable GPU; use auto or cpu"):
        choose_device("cuda")
    with pytest.raises(NowcastError, match="'tpu' is not a device; expected auto, cpu or cuda"):
        choose_device("tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [choose_device(name).type for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]
