"""The command line: every command from end to end on a small world, and one clear sentence for every mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from nowcast.archive import Archive
from nowcast.cli import app
from nowcast.clips.split_windows import window_starts
from nowcast.experiment_file import read_experiment
from nowcast.forecasting import Nowcaster
from nowcast.models import build_model, count_parameters
from nowcast.run import Run

TOY = Path(__file__).parent / "toy.yaml"
RUN = Path(__file__).parent / "pipelines/first_version/pretrain-memel-n1-s1-seed0-9cf9cb606b"


def nowcast(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    done = nowcast(
        "train", TOY, "--archive", small_archive, "--runs", runs, "--set", "training.steps=2", "seed=3", "-q"
    )
    assert done.exit_code == 0, done.output
    assert Run.open(runs / "toy").experiment.seed == 3
    with Image.open(runs / "toy" / "plots" / "training.png") as curve:
        assert min(curve.size) > 100
    return runs / "toy"


def test_from_radar_files_to_an_animation(run: Path, small_archive: Path, tmp_path: Path) -> None:
    scored = nowcast("evaluate", run, "persistence", "extrapolation", "-q")
    assert scored.exit_code == 0, scored.output
    assert "persistence" in scored.output and "extrapolation" in scored.output and "CSI" in scored.output
    folder = run / "evaluation" / f"{small_archive.name}-test-fixed"
    assert (folder / "scores.nc").exists() and (folder / "scores.md").exists() and list(folder.glob("plots/*.png"))
    assert str(folder / "scores.nc") in scored.output.splitlines()[-1]

    issued = nowcast("forecast", run, small_archive, "-o", tmp_path / "f.nc")
    assert issued.exit_code == 0 and "up to +24 min" in issued.output, issued.output
    drawn = nowcast("animate", tmp_path / "f.nc", "--observed", small_archive, "-o", tmp_path / "f.gif")
    assert drawn.exit_code == 0 and (tmp_path / "f.gif").stat().st_size > 1000, drawn.output

    counted = nowcast("info", small_archive, "--windows", 3, 4)
    assert counted.exit_code == 0 and "windows of 3 → 4 frames" in counted.output and "too short" in counted.output
    plain = nowcast("forecast", "extrapolation", small_archive, "-o", tmp_path / "e.nc", "--lead-steps", 2)
    assert plain.exit_code == 0 and "up to +12 min" in plain.output, plain.output
    for path, words in (
        (small_archive, ("radar archive", "48×48", "train: 1 days")),
        (run, ("run toy", "3 observed → 4 forecast", "2 of 2", "best validation")),
        (tmp_path / "f.nc", ("nowcast", "+6 to +24 min")),
        (folder / "scores.nc", ("scores", "persistence", "B-MSE")),
        (folder, ("test fixed", "windows", "cases.nc", "plots")),
        (folder / "cases.nc", ("cases of toy", "heaviest", "issued 20")),
        (run.parent, ("1 run", "2 of 2 steps", folder.name)),
        (next(small_archive.glob("**/*2020*.nc")), ("a day of an archive", "of 48×48")),
        (TOY, ("experiment toy", "3 observed → 4 forecast", "nowcast train")),
    ):
        described = nowcast("info", path)
        assert described.exit_code == 0 and all(word in described.output for word in words), described.output


def test_fine_tuning_and_resuming(run: Path, small_archive: Path, tmp_path: Path) -> None:
    arguments = ("train", TOY, "--archive", small_archive, "--runs", tmp_path, "--start-from", run, "-q")
    tuned = nowcast(*arguments, "--set", "name=tuned", "--set", "training.steps=2")
    assert tuned.exit_code == 0 and Run.open(tmp_path / "tuned").experiment.start_from == str(run), tuned.output
    again = nowcast(*arguments, "--set", "name=tuned", "--set", "training.steps=2")
    assert again.exit_code == 1 and "--resume" in again.output
    longer = nowcast(*arguments, "--set", "name=tuned", "--set", "training.steps=3", "--resume")
    assert longer.exit_code == 0 and "3 steps" in longer.output, longer.output


def test_synthesize_and_ingest(tmp_path: Path) -> None:
    made = nowcast("synthesize", tmp_path / "radar", "--days", 1, "--size", 48, "--frames-per-day", 12, "-q")
    assert made.exit_code == 0 and "48×48" in made.output, made.output
    described = nowcast("info", tmp_path / "radar")
    assert "nowcast ingest hko7" in described.output
    read = nowcast("ingest", "hko7", tmp_path / "radar", tmp_path / "a", "--split", "test=2020-06-01", "-q")
    assert read.exit_code == 0 and "split test: 1 of 1 listed days" in read.output, read.output


def test_synthesize_other_pixels_intervals_and_climates(tmp_path: Path) -> None:
    options = ("--pixel", 500, "--interval", 10, "--climate", "weak", "--frames-per-day", 3)
    made = nowcast("synthesize", tmp_path / "radar", "--days", 1, "--size", 48, *options, "-q")
    assert made.exit_code == 0, made.output
    images = sorted(path.name for path in (tmp_path / "radar").rglob("*.png"))
    assert images == ["RAD200601000000.png", "RAD200601001000.png", "RAD200601002000.png"]
    refused = nowcast("synthesize", tmp_path / "b", "--days", 1, "--climate", "martian")
    assert refused.exit_code == 1 and "unknown climate 'martian'" in refused.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", TOY), "names no archive; give data.archive in the file or --archive"),
        (
            ("train", TOY, "--set", "training.step=3"),
            "training.step is not a key of an experiment; did you mean",
        ),
        (("train", TOY, "--set", "training.steps=-3"), "training.steps is -3, expected a whole number of at least 1"),
        (("train", TOY, "--set", "oops"), "--set oops is not of the form key=value"),
        (("train", "nothing.yaml"), "nothing.yaml does not exist; expected an experiment file"),
        (("train", TOY, "--archive", "{tmp}"), "(no archive.json in it); make one with: nowcast ingest"),
        (("evaluate", "{tmp}"), "holds no config.yaml"),
        (
            ("evaluate", "persistance", "--archive", "{archive}"),
            "persistance is neither a run directory nor one of default, persistence, extrapolation, fading, sprog",
        ),
        (("evaluate", "persistence"), "no archive to evaluate on; give --archive ARCHIVE"),
        (("evaluate", "{run}", "--split", "tests"), "no split 'tests', its splits are: train, valid, test"),
        (("evaluate", "{run}", "--checkpoint", "lats"), "checkpoint is 'lats', expected best or last"),
        (("evaluate", "{run}", "--protocol", "onlin"), "protocol is 'onlin', expected fixed or online"),
        (("evaluate", "{run}", "--scores", "fsss"), "is 'fsss', expected basic, gdl"),
        (("evaluate", "{run}", "--threshold", "2", "--threshold", "2"), "2 mm/h stands 2 times"),
        (("evaluate", "{run}", "--archive", "{tmp}/none"), "{tmp}/none"),
        (("forecast", "{run}", "{tmp}", "-o", "f.nc"), "(no archive.json in it); make one with: nowcast ingest"),
        (("forecast", "{run}", "{archive}", "-o", "{tmp}/f.png"), "does not end in .nc"),
        (("forecast", "{run}", "{archive}", "-o", "{tmp}/f.nc", "--at", "today at noon"), "expected UTC such as 2018"),
        (("forecast", "{run}", "{archive}", "-o", "{blocked}/f.nc"), "cannot be written"),
        (("animate", "{tmp}/none.nc", "-o", "f.gif"), "none.nc does not exist"),
        (("animate", "{blocked}", "-o", "f.gif"), "is not a readable netCDF file"),
        (("info", "{tmp}/none"), "none does not exist"),
        (("info", "{tmp}"), "is none of archive, run directory"),
        (("ingest", "hko7", "{tmp}", "{tmp}/a"), "{tmp} has no radarPNG folder, expected radarPNG/YYYY/MM/DD"),
        (("ingest", "hko7", "{tmp}/none", "{tmp}/a"), "{tmp}/none does not exist, expected a folder"),
        (("synthesize", "{blocked}", "--days", "1"), "{blocked} is a file, expected a folder for synthetic radar"),
    ],
)
def test_one_clear_sentence(
    arguments: tuple[object, ...], sentence: str, run: Path, small_archive: Path, tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file in the way")
    names = {"tmp": tmp_path, "run": run, "archive": small_archive, "blocked": blocked}
    done = nowcast(*(str(argument).format(**names) for argument in arguments))
    assert done.exit_code == 1, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    last = done.output.strip().splitlines()[-1]
    assert last.startswith("nowcast: ") and sentence.format(**names) in last, done.output
    assert not any(sentence.format(**names) in str(argument) for argument in arguments), "a sentence says more"
    assert "Traceback" not in done.output


def test_a_run_without_checkpoint_is_told(run: Path, small_archive: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.yaml").write_text((run / "config.yaml").read_text())
    done = nowcast("forecast", tmp_path / "empty", small_archive, "-o", tmp_path / "f.nc")
    assert done.exit_code == 1 and "has no checkpoint yet" in done.output
    assert not (tmp_path / "f.nc").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_output_is_told(run: Path, small_archive: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = nowcast("forecast", run, small_archive, "-o", tmp_path / "f.nc")
    assert done.exit_code == 1 and "cannot be written" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["evaluate", "persistance"],
        ["evaluate", "persistence", "--protocol", "onlin"],
        ["train", "--help"],
        ["train", str(TOY), "--set", "training.step=3"],
        ["ingest", "--help"],
        ["info", str(RUN)],
    ],
)
def test_no_torch_before_it_is_needed(arguments: list[str]) -> None:
    # Importing torch takes seconds; help, typing errors and a look at a run must not wait for it.
    script = f"""
import sys
from nowcast.cli import app
try:
    app({arguments!r})
except SystemExit:
    pass
assert not {{"torch", "xarray", "cv2", "matplotlib"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_command_explains_itself() -> None:
    commands = ("synthesize", "ingest", "train", "evaluate", "forecast", "animate", "demo", "info", "configs")
    overview = nowcast("--help").output
    for command in commands:
        assert command in overview
        shown = nowcast(command, "--help")
        assert shown.exit_code == 0 and "Usage: " in shown.output
    assert "[default: runs]" in nowcast("train", "--help").output
    assert "mm/h" in nowcast("evaluate", "--help").output and "UTC" in nowcast("forecast", "--help").output


def test_what_fails_early_leaves_no_run_behind(run: Path, small_archive: Path, tmp_path: Path) -> None:
    arguments = ("train", TOY, "--archive", small_archive, "--runs", tmp_path, "--set", "training.steps=1", "-q")
    lost = nowcast(*arguments, "--start-from", tmp_path / "nope")
    assert lost.exit_code == 1 and not (tmp_path / "toy").exists()
    assert nowcast(*arguments, "--start-from", run).exit_code == 0
    fewer = nowcast(
        "train", TOY, "--archive", small_archive, "--runs", run.parent, "seed=3", "training.steps=1", "--resume"
    )
    assert fewer.exit_code == 1 and "has already done 2 steps" in fewer.output, fewer.output


def test_a_dry_run_tells_all_and_writes_nothing(run: Path, small_archive: Path, tmp_path: Path) -> None:
    arguments = ("train", TOY, "--runs", tmp_path, "--dry-run")
    told = nowcast(*arguments, "--archive", small_archive)
    assert told.exit_code == 0 and not list(tmp_path.iterdir()), told.output
    parameters = count_parameters(build_model(read_experiment(TOY).model))
    starts = window_starts(Archive.open(small_archive), "train", read_experiment(TOY).data, None)
    for fact in (f"{tmp_path / 'toy'}, 6 steps", f"ConvGRU, {parameters} parameters", f"{len(starts)} to learn from"):
        assert fact in told.output
    assert yaml.safe_load(told.output)["data"]["archive"] == str(small_archive)  # an experiment file by itself
    assert "no archive named; give --archive" in nowcast(*arguments).output
    lost = nowcast(*arguments, "--archive", small_archive, "--start-from", tmp_path / "nope")
    assert lost.exit_code == 1 and "nope does not exist" in lost.output
    there = nowcast("train", TOY, "--runs", run.parent, "--archive", small_archive, "--dry-run")
    assert there.exit_code == 1 and "already holds a run" in there.output
    again = nowcast("train", TOY, "--runs", run.parent, "seed=3", "training.steps=7", "--resume", "--dry-run")
    assert again.exit_code == 0 and "continued after step 2 of 7" in again.output, again.output


def test_paths_are_paths_whatever_they_look_like(small_archive: Path, tmp_path: Path) -> None:
    (tmp_path / "A #1").symlink_to(small_archive)
    done = nowcast("train", TOY, "--archive", tmp_path / "A #1", "--runs", tmp_path, "--set", "training.steps=1", "-q")
    assert done.exit_code == 0, done.output
    missing = nowcast("train", TOY, "--archive", "2018", "--runs", tmp_path)
    assert missing.exit_code == 1 and "2018" in missing.output and "valid string" not in missing.output


def test_a_model_is_not_applied_at_another_frame_interval(run: Path, tmp_path: Path) -> None:
    nowcast("synthesize", tmp_path / "radar", "--days", 1, "--size", 48, "--frames-per-day", 12, "-q")
    nowcast("ingest", "hko7", tmp_path / "radar", tmp_path / "a", "--interval", 12, "-q")
    done = nowcast("forecast", run, tmp_path / "a", "-o", tmp_path / "f.nc")
    assert done.exit_code == 1 and "trained on frames 6 min apart" in done.output, done.output


def test_objects_introduce_themselves_in_one_line(run: Path, small_archive: Path) -> None:
    archive = Archive.open(small_archive)
    assert len(archive) == len(archive.times) > 100
    assert f"{len(archive)} frames of 48×48 every 6 min, 2020-" in repr(archive)
    assert repr(archive).endswith("splits: train, valid, test)")
    assert repr(Run.open(run)) == f"Run({str(run)!r})"
    assert repr(Nowcaster.from_run(run)).endswith(": 3 observed → 4 forecast frames)")
    assert "toy" in repr(Nowcaster.from_run(run))
