"""Do 95 % intervals cover 95 %? Simulated worlds whose truth is known; fixed seeds, bounds with room for chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nowcast.verification.jackknife import block_jackknife
from nowcast.verification.power import pairs_needed, power_of_pairs, smallest_shown
from nowcast.verification.two_way import two_way_interval

WORLDS = 1500


def ratio(total: np.ndarray) -> np.ndarray:
    return total[..., 0] / total[..., 1]


@pytest.mark.parametrize("blocks", [3, 4, 6, 13])
def test_the_jackknife_covers_what_it_promises(blocks):
    """Blocks of 5 to 29 windows with weather of their own."""
    generator, covered = np.random.default_rng(blocks), 0
    for _ in range(WORLDS):
        windows = generator.integers(5, 30, blocks).astype(float)
        sums = generator.normal(0, 1, blocks) * windows + generator.normal(0, 1, blocks) * np.sqrt(windows)
        _, low, high = block_jackknife(ratio, np.stack([sums, windows], axis=1))
        covered += low <= 0 <= high
    assert 0.93 <= covered / WORLDS <= 0.97


@pytest.mark.parametrize(("seeds", "blocks"), [(3, 4), (2, 4), (10, 13)])
@pytest.mark.parametrize(("of_seed", "of_block"), [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_false_verdicts_are_rare(seeds, blocks, of_seed, of_block):
    """Nothing differs but by seed, by weather, or by both: at most 7 % may be called a difference (8 % by chance)."""
    generator, called = np.random.default_rng([seeds, blocks, int(of_seed), int(of_block)]), 0
    for _ in range(WORLDS):
        windows = generator.integers(5, 30, blocks)
        table = of_seed * generator.normal(size=(seeds, 1)) + of_block * generator.normal(size=(1, blocks))
        table = table + 0.3 * generator.normal(size=(seeds, blocks))
        called += two_way_interval(table * windows, windows).side != 0
    assert called / WORLDS <= 0.08


def test_a_difference_that_is_there_is_found():
    generator, found = np.random.default_rng(8), 0
    for _ in range(300):
        table = 1 + 0.3 * generator.normal(size=(5, 1)) + 0.5 * generator.normal(size=(1, 8))
        found += two_way_interval(table + 0.2 * generator.normal(size=(5, 8)), np.ones(8)).side == 1
    assert found / 300 > 0.8


def test_power_is_what_simulation_gives():
    generator = np.random.default_rng(4)
    draws = generator.normal(0.5, 1.0, (4000, 20))
    shown = (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean()
    assert power_of_pairs(0.5, 1.0, 20) == pytest.approx(shown, abs=0.025)
    assert np.isnan(power_of_pairs(1, 1, 1))


def test_pairs_for_the_published_effects():
    """The spread that the paper's own t = −2.38 over 6 pairs implies, 8.3 units of a paired difference."""
    assert pairs_needed(3.27, 8.3) == pytest.approx(54, abs=1) and pairs_needed(4.87, 8.3) == pytest.approx(26, abs=1)
    assert [round(power_of_pairs(effect, 8.3, 3), 2) for effect in (3.27, 4.87)] == [0.07, 0.10]
    fewest = pairs_needed(1.56, 2.16)
    assert fewest is not None
    assert power_of_pairs(1.56, 2.16, fewest) >= 0.8 > power_of_pairs(1.56, 2.16, fewest - 1)
    assert pairs_needed(0.0, 1.0) is None and pairs_needed(1e-6, 1.0) is None
    assert smallest_shown(1.0, 1e9) == pytest.approx(1.96 + 0.84, abs=0.01) and np.isnan(smallest_shown(np.nan, 3))
