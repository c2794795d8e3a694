import stat
from pathlib import Path

import numpy as np
import pytest

from nowcast import NowcastError, evaluate, ingest_hko7, train
from nowcast.archive import Archive
from nowcast.atomic_files import WRITER_LOCK
from nowcast.evaluation import Adaptation, read_cases, read_scores, score_table
from nowcast.models.persistence import Persistence
from nowcast.verification import compare


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_archive):
    from pathlib import Path

    from nowcast import read_experiment

    toy = Path(__file__).parents[1] / "toy.yaml"
    experiment = read_experiment(toy, {"data.archive": str(small_archive), "training.steps": 3})
    return train(experiment, tmp_path_factory.mktemp("runs"), progress=False)


def test_a_run_is_evaluated_beside_persistence_and_its_folder_holds_the_result(run):
    scores = evaluate(run.path, split="test")
    assert scores.forecaster.values.tolist() == ["toy", "persistence"]
    assert scores.sizes["lead_time"] == 4 and scores.attrs["split"] == "test" and scores.attrs["observed_frames"] == 3
    again = read_scores(run.path)
    assert set(again.variables) == set(scores.variables)
    for name in scores.variables:
        if scores[name].dtype.kind in "fiu":
            np.testing.assert_allclose(again[name], scores[name], rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(again.lead_time, scores.lead_time)
    np.testing.assert_array_equal(again.issue_time, scores.issue_time)
    assert (run.path / "scores.md").read_text(encoding="utf-8") == score_table(scores) == score_table(again)
    cases = read_cases(run.path)
    assert "heaviest" in cases.case.values and cases.valid.dtype == bool
    assert cases.sizes["forecaster"] == 2 and cases.sizes["observed_time"] == 3
    assert {file.name for file in run.path.glob(".*")} <= {WRITER_LOCK}, "no half-written file is left"
    compare(again, "toy", "persistence")


def test_names_runs_baselines_and_own_forecasters(run, small_archive, tmp_path):
    scores = evaluate([run, "extrapolation"], output=tmp_path, families=("basic",), cases=False)
    assert scores.forecaster.values.tolist() == ["toy", "extrapolation", "persistence"]
    assert {path.name for path in tmp_path.iterdir()} == {"scores.nc", "scores.md"}
    mine = evaluate({"mine": Persistence(), "net": run}, families=("basic",), output=tmp_path, cases=False)
    assert mine.forecaster.values.tolist() == ["mine", "net", "persistence"]
    np.testing.assert_array_equal(mine.csi.sel(forecaster="mine"), mine.csi.sel(forecaster="persistence"))
    alone = evaluate("persistence", archive=Archive.open(small_archive), forecast=6, families=("basic",))
    assert alone.forecaster.values.tolist() == ["persistence"] and alone.sizes["lead_time"] == 6
    twice = evaluate([run.path, str(run.path)], output=tmp_path, families=("basic",), cases=False)
    assert twice.forecaster.values.tolist() == [str(run.path), "persistence"]


def test_online_adapts(run, tmp_path):
    common = dict(output=tmp_path, families=("basic",), protocol="online")
    adapted = evaluate(run, adaptation=Adaptation(learning_rate=1e-2, steps=2), **common)
    plain = evaluate(run, adaptation=Adaptation(steps=0), **common)
    fixed = evaluate(run, output=tmp_path, families=("basic",))
    for name in ("balanced_mse", "csi"):
        np.testing.assert_allclose(plain[name], fixed[name], rtol=1e-4)
        np.testing.assert_allclose(
            adapted[name].sel(forecaster="persistence"), fixed[name].sel(forecaster="persistence"), rtol=1e-9
        )
    assert not np.allclose(adapted.balanced_mse.sel(forecaster="toy"), plain.balanced_mse.sel(forecaster="toy"))
    assert (tmp_path / "cases.nc").is_file() and adapted.attrs["protocol"] == "online"


def test_errors_are_sentences(run, small_archive, tmp_path):
    with pytest.raises(NowcastError, match="neither a run directory nor a baseline"):
        evaluate("persistance", archive=small_archive)
    with pytest.raises(NowcastError, match="give --archive"):
        evaluate("persistence")
    with pytest.raises(NowcastError, match="no split 'exam'"):
        evaluate(run, split="exam")
    with pytest.raises(NowcastError, match="no window of 50 \\+ 20 frames in its test split of 38"):
        evaluate("persistence", archive=small_archive, observed=50)
    with pytest.raises(NowcastError, match="stride"):
        evaluate(run, stride=0)
    (run.path / "scores.nc").unlink(missing_ok=True)
    with pytest.raises(NowcastError, match="scores.nc does not exist"):
        read_scores(run.path)
    (tmp_path / "scores.nc").write_bytes(b"no netCDF")
    with pytest.raises(NowcastError, match="no readable netCDF"):
        read_scores(tmp_path)


def test_a_folder_that_cannot_be_written_is_said(run, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(NowcastError, match="below cannot be written"):
        evaluate(run, output=blocked / "below", families=("basic",), cases=False)
    assert stat.S_ISREG(blocked.stat().st_mode)


def test_runs_that_do_not_fit_together_are_refused(run, small_archive, tmp_path):
    from pathlib import Path

    from nowcast import read_experiment

    toy = Path(__file__).parents[1] / "toy.yaml"
    other = read_experiment(
        toy, {"data.archive": str(small_archive), "training.steps": 2, "name": "longer", "data.forecast": 5}
    )
    longer = train(other, tmp_path / "runs", progress=False)
    with pytest.raises(NowcastError, match="toy has data.forecast 4, the run longer 5"):
        evaluate([run, longer])
    with pytest.raises(NowcastError, match="5 lead steps, the run toy was trained for 4; .* --beyond-training"):
        evaluate([run, longer], forecast=5)
    options = {"output": tmp_path, "families": ("basic",), "cases": False, "beyond_training": True}
    both = evaluate([run, longer], forecast=5, **options)
    assert both.sizes["lead_time"] == 5
    assert both.attrs["caution"] == "beyond training: 5 lead steps, the run toy was trained for 4"


def test_an_archive_of_another_interval_or_pixel(run, tmp_path):
    radar = Path(str(run.experiment.data.archive)).parent / "radar"
    ingest_hko7(radar, tmp_path / "coarse", workers=1, progress=False, interval=np.timedelta64(720, "s"))
    options = {"split": "train", "output": tmp_path, "families": ("basic",), "cases": False}
    with pytest.raises(NowcastError, match="12 min apart, the run toy was trained on frames 6 min apart"):
        evaluate(run, archive=tmp_path / "coarse", **options)
    ingest_hko7(radar, tmp_path / "fine", workers=1, progress=False, pixel_metres=500.0)
    scores = evaluate(run, archive=tmp_path / "fine", **options)
    assert scores.attrs["caution"] == "pixels of 500 m, the run toy was trained on pixels of 1066.67 m"
    assert "caution" not in evaluate(run, **options).attrs
