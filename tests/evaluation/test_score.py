import numpy as np
import pytest
import torch
from worlds import moving_world, windows_of

from nowcast.errors import NowcastError
from nowcast.evaluation import compare_forecasters, score_forecasters, score_table
from nowcast.evaluation.unknown import fill_unknown
from nowcast.models import ModelForecaster
from nowcast.models.extrapolation import Extrapolation
from nowcast.models.persistence import Persistence
from nowcast.verification import Scorecard

SLOTS = range(0, 35, 5)


def half_blind(observed, observed_valid, lead_steps):
    forecast = observed[:, -1:].repeat(1, lead_steps, 1, 1, 1)
    forecast[..., :20] = torch.nan
    return forecast


class Two:
    """An ensemble of two."""

    def __call__(self, observed, observed_valid, lead_steps):
        return self.ensemble(observed, observed_valid, lead_steps).mean(0)

    def ensemble(self, observed, observed_valid, lead_steps):
        last = observed[:, -1:].repeat(1, lead_steps, 1, 1, 1)
        return torch.stack([last, (last + 0.1).clamp(max=1)])


def test_scores_are_those_of_a_scorecard_over_all_windows():
    windows = windows_of(moving_world(), SLOTS)
    scores = score_forecasters({"persistence": Persistence()}, windows, families=("basic",), batch_size=3)
    sequence = windows.clips.sequence(windows.starts, 3, 4)
    card = Scorecard(4, frame_interval=windows.interval)
    card.update(sequence.observed[:, -1:].repeat(1, 4, 1, 1, 1), sequence.observation, sequence.valid)
    for name, expected in card.dataset().items():
        found = scores[name] if name in ("sequences", "valid_pixels") else scores[name].sel(forecaster="persistence")
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)
    assert int(scores.sequences[0]) == 7 and (scores.coverage == 1).all()
    np.testing.assert_allclose(scores.window_balanced_mse.mean("issue_time"), scores.balanced_mse, rtol=1e-12)
    np.testing.assert_array_equal(scores.window_hits.sum("issue_time"), scores.hits)
    assert scores.issue_time.dtype.kind == "M" and scores.lead_time.dtype.kind == "m"


def test_common_pixels_are_the_same_for_all():
    windows = windows_of(moving_world(), SLOTS)
    both = score_forecasters({"blind": half_blind, "persistence": Persistence()}, windows, unknown="common")
    np.testing.assert_allclose(both.coverage, 0.5, atol=0.01)
    np.testing.assert_allclose(both.known.sel(forecaster="persistence"), 1)
    np.testing.assert_allclose(both.known.sel(forecaster="blind"), both.coverage)
    for name in ("balanced_mse", "csi", "gdl", "fss", "ssim", "log_spectral_distance"):
        np.testing.assert_array_equal(both[name][0], both[name][1], err_msg=name)  # on what both know, both are alike
    alone = score_forecasters({"persistence": Persistence()}, windows)
    assert (alone.coverage == 1).all() and (alone.balanced_mse > both.balanced_mse.sel(forecaster="persistence")).all()


def test_unknown_as_persistence_scores_every_valid_pixel():
    windows = windows_of(moving_world(), SLOTS)
    forecasters = {"blind": half_blind, "persistence": Persistence()}
    scores = score_forecasters(forecasters, windows, unknown="persistence", families=("basic",))
    assert (scores.coverage == 1).all()
    np.testing.assert_array_equal(scores.balanced_mse[0], scores.balanced_mse[1])
    sequence = windows.clips.sequence(windows.starts, 3, 4)
    unseen = torch.full_like(sequence.observation, torch.nan)
    filled, _ = fill_unknown({"nothing": unseen}, sequence, "persistence")
    assert filled["nothing"].isfinite().all()
    with pytest.raises(NowcastError, match="common, persistence"):
        fill_unknown({}, sequence, "dry")


def test_the_last_partial_batch_counts_and_batches_do_not_matter():
    windows = windows_of(moving_world(), SLOTS)
    forecasters = {"extrapolation": Extrapolation(), "persistence": Persistence()}
    one, many = (score_forecasters(forecasters, windows, batch_size=size) for size in (1, 4))
    for name in one:
        np.testing.assert_allclose(one[name], many[name], rtol=1e-9, err_msg=name)
    assert (one.csi.sel(threshold=2.0)[0] > one.csi.sel(threshold=2.0)[1]).all()  # moving rain


def test_parts_of_several_workers_merge_to_one_pass():
    clips = moving_world()
    forecasters = {"two": Two(), "persistence": Persistence()}
    whole = compare_forecasters(forecasters, windows_of(clips, SLOTS)).dataset()
    first, second = (compare_forecasters(forecasters, windows_of(clips, part)) for part in (SLOTS[4:], SLOTS[:4]))
    merged = first.merge(second).dataset()
    assert set(merged) == set(whole)
    for name in whole:
        np.testing.assert_allclose(merged[name], whole[name], rtol=1e-10, err_msg=name)
    np.testing.assert_array_equal(merged.issue_time, whole.issue_time)


def test_ensembles_have_scores_of_their_own():
    scores = score_forecasters({"two": Two(), "persistence": Persistence()}, windows_of(moving_world(), SLOTS))
    assert scores.crps.sel(forecaster="two").notnull().all()
    assert scores.crps.sel(forecaster="persistence").isnull().all()
    np.testing.assert_allclose(scores.rank_histogram.sel(forecaster="two").sum("rank"), 1)
    assert "two" in score_table(scores) and "CRPS" in score_table(scores)


def test_only_a_part_is_scored():
    windows = windows_of(moving_world(), SLOTS)
    scores = score_forecasters(
        {"persistence": Persistence()}, windows, score_rows=(10, 30), score_columns=(12, 28), families=("basic",)
    )
    sequence = windows.clips.sequence(windows.starts, 3, 4)
    part = np.s_[..., 10:30, 12:28]
    card = Scorecard(4)
    forecast = sequence.observed[:, -1:].repeat(1, 4, 1, 1, 1)
    card.update(forecast[part], sequence.observation[part], sequence.valid[part])
    np.testing.assert_allclose(scores.balanced_mae[0], card.dataset().balanced_mae)
    with pytest.raises(NowcastError, match="rows 30:50"):
        score_forecasters({"persistence": Persistence()}, windows, score_rows=(30, 50))


def test_a_diverged_network_is_an_error_not_an_unknown():
    class Diverged(torch.nn.Module):
        def forward(self, observed, observed_valid, lead_steps):
            return observed[:, -1:].repeat(1, lead_steps, 1, 1, 1) * torch.nan

    windows = windows_of(moving_world(), SLOTS)
    with pytest.raises(NowcastError, match="bad forecast NaN: the network has diverged"):
        score_forecasters({"bad": ModelForecaster(Diverged(), "cpu")}, windows)
    with pytest.raises(NowcastError, match="inf forecast infinite"):
        score_forecasters({"inf": lambda o, v, n: Persistence()(o, v, n).nan_to_num() / 0}, windows)


def test_nothing_to_do_is_said():
    with pytest.raises(NowcastError, match="no forecaster"):
        score_forecasters({}, windows_of(moving_world(), SLOTS))
    with pytest.raises(NowcastError, match="no window"):
        score_forecasters({"persistence": Persistence()}, windows_of(moving_world(), ()))
    with pytest.raises(NowcastError, match="families"):
        score_forecasters({"persistence": Persistence()}, windows_of(moving_world(), SLOTS), families=("all",))


def test_windows_without_any_observation():
    clips = moving_world()
    clips.seen[10:] = False
    windows = windows_of(clips, (0, 20))
    scores = score_forecasters({"persistence": Persistence()}, windows)
    assert int(scores.sequences[0]) == 2
    assert scores.window_rain_rate[1].isnull().all() and scores.window_rain_rate[0].notnull().all()
    everywhere = score_forecasters({"persistence": Persistence()}, windows_of(clips, (20,)))
    assert everywhere.csi.isnull().all() and everywhere.balanced_mse.isnull().all()
    assert "–" in score_table(everywhere)


def test_the_table_reads_in_markdown():
    forecasters = {"extrapolation": Extrapolation(), "persistence": Persistence()}
    table = score_table(score_forecasters(forecasters, windows_of(moving_world(), SLOTS), unknown="common"))
    blocks = table.strip().split("\n\n")
    assert "7 windows" in blocks[0] and "scored on" in blocks[0]
    for block in blocks[1:]:
        lines = block.splitlines()
        assert len({len(line) for line in lines}) == 1 and len(lines) == 4
        assert len({line.count("|") for line in lines}) == 1
    assert "+24 min" in table and "CSI 30" in table and "FSS 2, 5 px" in table
