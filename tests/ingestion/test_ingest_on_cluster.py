"""`--cluster`: the same synthetic radar and the same archive from the workers of a dask cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nowcast.cli import app


def nowcast(*arguments: object) -> None:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("ingest_report")
    }


def test_two_workers_of_dask_give_the_same_files(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    settings = ("--days", 3, "--size", 48, "--frames-per-day", 6, "-q")
    nowcast("synthesize", tmp_path / "radar", *settings, "--workers", 1)
    nowcast("ingest", "hko7", tmp_path / "radar", tmp_path / "alone", "--workers", 1, "-q")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        at = ("--cluster", cluster.scheduler_address)
        nowcast("synthesize", tmp_path / "again", *settings, *at)
        nowcast("ingest", "hko7", tmp_path / "radar", tmp_path / "together", "-q", *at)
    assert files(tmp_path / "radar") == files(tmp_path / "again")
    assert files(tmp_path / "alone") == files(tmp_path / "together") and len(files(tmp_path / "alone")) > 5
