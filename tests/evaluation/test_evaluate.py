import re
import stat
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nowcast import NowcastError, evaluate, ingest_hko7, train
from nowcast.archive import Archive
from nowcast.evaluation import Adaptation, EvaluationOptions, evaluations_of, read_cases, read_scores, score_table
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
    folder = run.path / "evaluation" / "archive-test-fixed"
    assert scores.encoding["source"] == str(folder / "scores.nc") and evaluations_of(run.path) == [folder]
    assert scores.forecaster.values.tolist() == ["toy", "extrapolation", "persistence"]
    assert scores.sizes["lead_time"] == 4 and scores.attrs["split"] == "test" and scores.attrs["observed_frames"] == 3
    again = read_scores(run.path)
    assert set(again.variables) == set(scores.variables)
    for name in scores.variables:
        if scores[name].dtype.kind in "fiu":
            np.testing.assert_allclose(again[name], scores[name], rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(again.lead_time, scores.lead_time)
    np.testing.assert_array_equal(again.issue_time, scores.issue_time)
    assert (folder / "scores.md").read_text(encoding="utf-8") == score_table(scores) == score_table(again)
    cases = read_cases(run.path)
    assert "heaviest" in cases.case.values and cases.valid.dtype == bool
    assert cases.sizes["forecaster"] == 3 and cases.sizes["observed_time"] == 3
    assert {path.name for path in folder.iterdir()} == {"scores.nc", "scores.md", "cases.nc"}
    compare(again, "toy", "persistence")


def test_names_runs_baselines_and_own_forecasters(run, small_archive, tmp_path):
    scores = evaluate([run, "extrapolation"], output=tmp_path, families=("basic",), cases=False)
    assert scores.forecaster.values.tolist() == ["toy", "extrapolation", "persistence"]
    assert {path.name for path in tmp_path.iterdir()} == {"scores.nc", "scores.md"}
    mine = evaluate({"mine": Persistence(), "net": run}, families=("basic",), output=tmp_path, cases=False)
    assert mine.forecaster.values.tolist() == ["mine", "net", "extrapolation", "persistence"]
    np.testing.assert_array_equal(mine.csi.sel(forecaster="mine"), mine.csi.sel(forecaster="persistence"))
    alone = evaluate("persistence", archive=Archive.open(small_archive), forecast=6, families=("basic",))
    assert alone.forecaster.values.tolist() == ["persistence", "extrapolation"] and alone.sizes["lead_time"] == 6
    twice = evaluate([run.path, str(run.path)], output=tmp_path, families=("basic",), cases=False)
    assert twice.forecaster.values.tolist() == [str(run.path), "extrapolation", "persistence"]


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
    with pytest.raises(NowcastError, match="neither a run directory nor one of default, persistence"):
        evaluate("persistance", archive=small_archive)
    with pytest.raises(NowcastError, match="give --archive"):
        evaluate("persistence")
    with pytest.raises(NowcastError, match="no split 'exam'"):
        evaluate(run, split="exam")
    with pytest.raises(NowcastError, match="no window of 50 \\+ 20 frames in its test split of 38"):
        evaluate("persistence", archive=small_archive, observed=50)
    with pytest.raises(NowcastError, match="stride"):
        evaluate(run, stride=0)
    with pytest.raises(NowcastError, match="scores.nc does not exist"):
        read_scores(tmp_path)
    (tmp_path / "scores.nc").write_bytes(b"no netCDF")
    with pytest.raises(NowcastError, match="not a readable netCDF"):
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


def test_no_evaluation_overwrites_another(run, tmp_path):
    import shutil

    shutil.copytree(run.path, tmp_path / "toy", ignore=shutil.ignore_patterns("evaluation"))
    copied, quick = tmp_path / "toy", EvaluationOptions(families=("basic",))
    valid = evaluate(copied, "valid", options=quick)
    assert read_scores(copied).attrs["split"] == "valid"  # the only one there is
    evaluate(copied, options=quick)
    assert [path.name for path in evaluations_of(copied)] == ["archive-test-fixed", "archive-valid-fixed"]
    assert read_scores(copied).attrs["split"] == "test"
    xr.testing.assert_identical(read_scores(copied / "evaluation" / "archive-valid-fixed").csi, valid.csi)
    evaluate(copied, protocol="online", options=quick, cases=False)
    assert read_scores(copied).attrs["protocol"] == "fixed" and len(evaluations_of(copied)) == 3
    evaluate(copied, options=quick, cases=False)  # without cases: those of the time before would mislead
    assert not (copied / "evaluation" / "archive-test-fixed" / "cases.nc").exists()


def test_scores_say_what_they_are_and_where_they_come_from(run, tmp_path):
    scores = evaluate({"mine": Persistence(), "net": run}, output=tmp_path)
    for name in scores.variables:
        assert scores[name].attrs.get("long_name") or scores[name].attrs.get("standard_name"), name
        assert "units" in scores[name].attrs or scores[name].dtype.kind in "mMO", name
    assert scores.csi.attrs["best_value"] == 1 and scores.balanced_mse.attrs["best_value"] == 0
    assert scores.attrs["runs"] == f"net: {run.path}" and scores.attrs["checkpoint"] == "best"
    assert scores.attrs["config_sha256"] == f"net: {run.experiment.sha256}"
    written = read_scores(tmp_path)
    assert written.attrs["source"].startswith("nowcast ") and "Z written by nowcast" in written.attrs["history"]
    assert written.csi.attrs["best_value"] == 1
    cases = read_cases(tmp_path)
    np.testing.assert_array_equal(cases.x, Archive.open(run.experiment.data.archive).x)
    assert cases.forecast.attrs["units"] == "mm h-1"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"protocol": "onlin"}, "protocol is 'onlin', expected fixed or online"),
        ({"families": ("fsss",)}, "is 'fsss', expected basic, gdl"),
        ({"thresholds": (2, 2.0)}, "2 mm/h stands 2 times; give every threshold once"),
        ({"thresholds": (-1,)}, "-1 is not a rain rate"),
        ({"tresholds": (2,)}, "tresholds is not a key of an evaluation; did you mean thresholds?"),
        ({"observed": 2.5}, "observed is 2.5"),
        ({"whole": True, "rows": (0, 10)}, "give it or rows and columns, not both"),
    ],
)
def test_options_that_cannot_be_are_told_by_name(options, sentence):
    with pytest.raises(NowcastError, match=re.escape(sentence)):
        EvaluationOptions.of(None, options)
