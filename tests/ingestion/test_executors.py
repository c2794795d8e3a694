"""An ingest is the same wherever its days are read."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from radar_tree import Tree

from nowcast import synthesize
from nowcast.errors import NowcastError

FILES = ("2018/07/20180721.nc", "2018/07/20180722.nc", "2018/07/20180723.nc", "grid.nc", "archive.json", "index.json")


class Elsewhere(Executor):
    """Sends every task through pickle, as another machine would get it, and runs the last one first."""

    def __init__(self) -> None:
        self.tasks: list[tuple[Future[Any], bytes]] = []
        self.sent = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.tasks.append((future, pickle.dumps((fn, args, kwargs))))
        self.sent = max(self.sent, len(self.tasks[-1][1]))
        if len(self.tasks) == 3:
            for future, content in reversed(self.tasks):
                function, arguments, options = pickle.loads(content)
                future.set_result(function(*arguments, **options))
        return self.tasks[-1][0]


@pytest.fixture
def three_days(tree: Tree) -> Tree:
    for day in ("2018-07-21", "2018-07-22", "2018-07-23"):
        tree.day(day, 4)
    return tree


def test_any_executor_gives_the_same_bytes(three_days: Tree, tmp_path: Path):
    three_days.ingest(tmp_path / "alone")
    elsewhere = Elsewhere()
    with ThreadPoolExecutor(3) as threads:
        for name, executor in (("threads", threads), ("elsewhere", elsewhere)):
            report, _ = three_days.ingest(tmp_path / name, workers=None, executor=executor)
            assert report.days_written == 3
            for file in FILES:
                assert (tmp_path / "alone" / file).read_bytes() == (tmp_path / name / file).read_bytes(), (name, file)
    assert len(elsewhere.tasks) == 3 and elsewhere.sent < 20_000


def test_an_error_of_a_task_is_the_error_of_the_ingest(three_days: Tree, tmp_path: Path, monkeypatch):
    def refused(*_: object) -> None:
        raise NowcastError("the disk is full")

    monkeypatch.setattr("nowcast.ingestion.day_jobs.write_day", refused)
    with ThreadPoolExecutor(2) as threads, pytest.raises(NowcastError, match="the disk is full"):
        three_days.ingest(tmp_path / "a", workers=None, executor=threads)
    assert not (tmp_path / "a").exists()


def test_synthetic_radar_from_any_executor(tmp_path: Path):
    settings = {"days": 3, "seed": 5, "size": 48, "frames_per_day": 6, "progress": False}
    synthesize(tmp_path / "alone", **settings)
    synthesize(tmp_path / "elsewhere", executor=Elsewhere(), **settings)
    alone, elsewhere = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "alone", tmp_path / "elsewhere")
    )
    assert alone == elsewhere and len(alone) > 30


@pytest.mark.skipif(os.name != "posix", reason="signals of process groups")
def test_ctrl_c_while_workers_start_prints_no_traceback(three_days: Tree, tmp_path: Path):
    program = tmp_path / "ingest_them.py"
    program.write_text(
        "import sys\nfrom nowcast import ingest\nfrom nowcast.ingestion import ingest as loaded\n"
        "if __name__ == '__main__':\n"
        "    print('go', flush=True)\n"
        "    try:\n        ingest('hko7', sys.argv[1], sys.argv[2], workers=2, progress=False)\n"
        "    except KeyboardInterrupt:\n        print('interrupted', file=sys.stderr)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program), str(three_days.root), str(tmp_path / "archive")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)  # the workers are importing numpy now
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert errors == "interrupted\n"
    assert three_days.ingest(tmp_path / "archive")[0].written == 12
