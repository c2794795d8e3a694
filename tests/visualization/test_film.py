import numpy as np

from nowcast.visualization.canvas import PALETTE
from nowcast.visualization.film import write_film


def test_a_gif_sends_only_what_changes(tmp_path):
    rng = np.random.default_rng(0)
    still = rng.integers(0, len(PALETTE), (120, 160)).astype(np.uint8)
    frames = []
    for k in range(10):  # two far corners change, so that a changed rectangle would be the whole picture
        frame = still.copy()
        frame[0, k] = frame[-1, -1 - k] = 0
        frames.append(frame)
    one = write_film(frames[:1], [100], tmp_path / "one.gif").stat().st_size
    ten = write_film(frames, [100] * 10, tmp_path / "ten.gif").stat().st_size
    assert ten < 1.5 * one
