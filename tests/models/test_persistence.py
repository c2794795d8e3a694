import torch

from nowcast.forecaster import Forecaster
from nowcast.models.persistence import Persistence


def test_every_pixel_keeps_what_was_seen_there_last():
    observed = torch.rand(2, 3, 1, 4, 5)
    seen = torch.ones_like(observed, dtype=torch.bool)
    seen[:, 2, :, 0] = False  # last frame misses row 0
    seen[1, :, :, 1] = False  # second sequence never sees row 1
    forecast = Persistence()(observed, seen, 4)
    assert forecast.shape == (2, 4, 1, 4, 5)
    for step in range(4):
        assert torch.equal(forecast[:, step, :, 2:], observed[:, 2, :, 2:])
        assert torch.equal(forecast[:, step, :, 0], observed[:, 1, :, 0])
        assert forecast[1, step, :, 1].isnan().all()
    assert forecast[0].isfinite().all()
    assert isinstance(Persistence(), Forecaster)
