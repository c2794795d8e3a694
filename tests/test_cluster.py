"""Work on a cluster of two processes: the same scores and the same archive, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from nowcast import evaluate, ingest_hko7
from nowcast.archive import Archive
from nowcast.cluster import executor_of
from nowcast.errors import NowcastError
from nowcast.evaluation import EvaluationOptions
from nowcast.models.persistence import Persistence

distributed = pytest.importorskip("distributed")
QUICK = EvaluationOptions(observed=3, forecast=4, stride=3, batch_size=2, cases=False, families=("basic", "gdl"))


class KilledOnce(Persistence):
    """Persistence whose worker is killed at its first call, wherever that is; a file remembers."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, observed, observed_valid, lead_steps):
        if not self.file.exists():
            self.file.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(observed, observed_valid, lead_steps)


@pytest.fixture(scope="module")
def cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as made:
        yield made


def test_the_same_scores_and_the_same_archive_also_when_a_worker_is_killed(cluster, small_archive, tmp_path):
    radar = small_archive.parent / "radar"
    (tmp_path / "out").mkdir()
    with executor_of(cluster=cluster.scheduler_address, read=(small_archive,), written=(tmp_path / "out",)) as executor:
        there = evaluate("persistence", archive=small_archive, options=QUICK, executor=executor)
        ingest_hko7(radar, tmp_path / "archive", executor=executor, progress=False)
        mine = KilledOnce(tmp_path / "killed")
        after = evaluate({"mine": mine}, archive=small_archive, options=QUICK, executor=executor)
    assert not list((tmp_path / "out").iterdir()), "no probe is left"
    here = evaluate("persistence", archive=small_archive, options=QUICK)
    xr.testing.assert_identical(there, here)
    assert int(mine.file.read_text()) != os.getpid()
    first, second = (scores.balanced_mse.sel(forecaster=name) for scores, name in
                     ((after, "mine"), (here, "persistence")))  # fmt: skip
    np.testing.assert_array_equal(first, second)
    one, two = Archive.open(small_archive), Archive.open(tmp_path / "archive")
    np.testing.assert_array_equal(one.times, two.times)
    np.testing.assert_array_equal(one.read(one.times).codes, two.read(two.times).codes)


def test_what_would_fail_on_a_worker_is_told_at_the_start(cluster, tmp_path, monkeypatch):
    address = cluster.scheduler_address
    with pytest.raises(NowcastError, match=r"\d of the workers, first tcp.*, do not see .*none; put it on a disk"):
        with executor_of(cluster=address, read=(tmp_path / "none",)):
            pass
    monkeypatch.setattr("nowcast.cluster.CONNECT_SECONDS", 1)
    begun = time.monotonic()
    with pytest.raises(NowcastError, match="no dask scheduler answers at tcp://127.0.0.1:9"):
        with executor_of(cluster="tcp://127.0.0.1:9"):
            pass
    assert time.monotonic() - begun < 20
    monkeypatch.setattr("distributed.Client.nthreads", lambda self: {"tcp://a:1": 4})
    with pytest.raises(NowcastError, match="the worker tcp://a:1 has 4 threads"):
        with executor_of(cluster=address):
            pass


def test_one_worker_needs_no_other_process():
    with executor_of(1) as executor:
        assert executor is None


def test_a_pipeline_trains_its_runs_there(cluster, small_archive, tmp_path, capsys):
    from pipelines.engine.command import command
    from pipelines.kdd24 import table5

    asked = ["--archive", str(small_archive), "--scale", "smoke", "--seeds", "1", "--block-hours", "1", "--quiet"]
    for name, more in (("here", []), ("there", ["--cluster", cluster.scheduler_address])):
        command(table5.__doc__, table5.arms, table5.run, arguments=[*asked, "--output", str(tmp_path / name), *more])
    capsys.readouterr()
    here, there = ((tmp_path / name / "table5.csv").read_text() for name in ("here", "there"))
    assert here == there and "T-MEmeL" in here
