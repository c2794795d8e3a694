"""Beginning and continuing a run: the archive is remembered, another one refused before anything is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nowcast import Archive, NowcastError, Run, ingest_hko7, train
from nowcast.archive.fingerprint import ArchiveFacts
from nowcast.archive.of_run import archive_of, facts_of
from nowcast.clips.store import ClipStore
from nowcast.config import Experiment

MakeExperiment = Callable[..., Experiment]


@pytest.fixture(scope="module")
def radar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from nowcast import synthesize

    folder = tmp_path_factory.mktemp("radar")
    synthesize(folder / "radar", days=3, seed=7, size=48, frames_per_day=40, workers=1, progress=False)
    return folder / "radar"


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def ingested(radar: Path, archive: Path, **options: object) -> Path:
    ingest_hko7(radar, archive, workers=1, progress=False, **options)  # type: ignore[arg-type]
    return archive


def test_a_resumed_run_knows_its_archive(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    begun = small_experiment(**{"training.steps": 2})
    run = train(begun, tmp_path, progress=False)
    facts = facts_of(run)
    assert facts is not None and facts == ArchiveFacts.of(archive_of(run)) and facts.shape == (48, 48)
    assert ArchiveFacts.from_plain(json.loads(json.dumps(facts.plain()))) == facts
    longer = small_experiment(**{"training.steps": 3, "data.archive": None})
    assert train(longer, tmp_path, resume=True, progress=False).experiment.data.archive == begun.data.archive


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"interval": np.timedelta64(720, "s")}, "holds frames 12 min apart instead of 6 min apart"),
        ({"pixel_metres": 500.0}, "holds pixels of 500.0 m instead of 1066.667 m"),
        ({"splits": ["train=2020-06-02", "valid=2020-06-01"]}, "holds another train split"),
    ],
)
def test_another_archive_is_refused_and_nothing_is_written(
    small_experiment: MakeExperiment, tmp_path: Path, radar: Path, options: dict[str, object], words: str
) -> None:
    run = train(small_experiment(**{"training.steps": 2}), tmp_path, progress=False)
    other = ingested(radar, tmp_path / "other", **options)
    before = everything_in(run.path)
    changed = small_experiment(**{"training.steps": 4, "data.archive": str(other)})
    with pytest.raises(NowcastError, match=words):
        train(changed, tmp_path, resume=True, progress=False)
    assert everything_in(run.path) == before


def test_the_same_archive_elsewhere_is_the_same(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    experiment = small_experiment(**{"training.steps": 2})
    assert experiment.data.archive is not None
    shutil.copytree(experiment.data.archive, tmp_path / "here")
    run = train(
        small_experiment(**{"training.steps": 2, "data.archive": str(tmp_path / "here")}), tmp_path, progress=False
    )
    (tmp_path / "here").rename(tmp_path / "there")
    with pytest.raises(NowcastError, match="here does not exist: the run .*toy was trained .* say with --archive"):
        train(small_experiment(**{"training.steps": 3, "data.archive": None}), tmp_path, resume=True, progress=False)
    moved = small_experiment(**{"training.steps": 3, "data.archive": str(tmp_path / "there")})
    assert train(moved, tmp_path, resume=True, progress=False).experiment.data.archive == str(tmp_path / "there")
    assert Run.open(run.path).experiment.training.steps == 3


def test_runs_of_older_versions_go_on(small_experiment: MakeExperiment, tmp_path: Path) -> None:
    run = train(small_experiment(**{"training.steps": 2}), tmp_path, progress=False)
    run.trained_on_file.unlink()
    again = train(small_experiment(**{"training.steps": 3}), tmp_path, resume=True, progress=False)
    assert facts_of(again) is not None
    again.trained_on_file.write_text('{"shape": [1, 2]}')
    with pytest.raises(NowcastError, match="trained_on.json does not describe an archive"):
        train(small_experiment(**{"training.steps": 4}), tmp_path, resume=True, progress=False)


def test_what_is_refused_is_refused_before_frames_are_read(
    small_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small_experiment(**{"training.steps": 2}), tmp_path, progress=False)

    def loaded(*arguments: object, **options: object) -> None:
        raise AssertionError("frames were read")

    monkeypatch.setattr(ClipStore, "from_archive", loaded)
    monkeypatch.setattr(Archive, "read", loaded)
    for changes, resume, words in (
        ({}, False, "already holds a run"),
        ({"training.batch_size": 3}, True, "was begun with training.batch_size"),
        ({"training.steps": 1}, True, "has already done 2 steps"),
        ({"name": "fresh", "data.observed": 90}, False, "has no training clip of 90"),
        ({"name": "fresh", "data.rows": [0, 900]}, False, "lie outside the frame"),
        ({"name": "fresh", "start_from": str(tmp_path / "none")}, False, "none does not exist"),
    ):
        with pytest.raises(NowcastError, match=words):
            train(small_experiment(**changes), tmp_path, resume=resume, progress=False)
    assert not (tmp_path / "fresh").exists()


def test_a_new_run_that_cannot_be_read_leaves_no_folder(
    small_experiment: MakeExperiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: object, **options: object) -> None:
        raise NowcastError("20200601.nc is damaged")

    monkeypatch.setattr(Archive, "read", damaged)
    with pytest.raises(NowcastError, match="damaged"):
        train(small_experiment(), tmp_path, progress=False)
    assert not (tmp_path / "toy").exists()
