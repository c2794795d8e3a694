"""An invalid batch cannot be built."""

import pytest
import torch

from nowcast.sequence import RadarSequence


def fields(batch: int = 2, observed: int = 3, forecast: int = 4, size: int = 5) -> dict[str, torch.Tensor]:
    return {
        "observed": torch.zeros(batch, observed, 1, size, size),
        "observed_valid": torch.ones(batch, observed, 1, size, size, dtype=torch.bool),
        "observation": torch.zeros(batch, forecast, 1, size, size),
        "valid": torch.ones(batch, forecast, 1, size, size, dtype=torch.bool),
    }


def test_a_valid_batch() -> None:
    sequence = RadarSequence(**fields())
    assert len(sequence) == 2 and sequence.lead_steps == 4


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("observed", torch.zeros(2, 3, 5, 5), r"observed has shape \(2, 3, 5, 5\), expected \(B, T, 1, H, W\)"),
        ("observation", torch.zeros(2, 4, 1, 5, 5, dtype=torch.uint8), "observation is torch.uint8"),
        ("valid", torch.ones(2, 4, 1, 5, 5), "valid is torch.float32"),
        ("valid", torch.ones(2, 3, 1, 5, 5, dtype=torch.bool), "valid is torch.bool"),
    ],
)
def test_contradictions_are_refused(name: str, value: torch.Tensor, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RadarSequence(**{**fields(), name: value})


def test_observed_and_observation_must_agree() -> None:
    with pytest.raises(ValueError, match="holds 1 sequences, observation 2"):
        RadarSequence(**{**fields(), **{k: v[:1] for k, v in fields().items() if k.startswith("observed")}})
    with pytest.raises(ValueError, match=r"observed frames are \(6, 6\)"):
        other = fields(size=6)
        RadarSequence(**{**fields(), "observed": other["observed"], "observed_valid": other["observed_valid"]})
