"""Locks: one holder, named; a killed one is forgotten on its own host and not on another."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nowcast import NowcastError
from nowcast.atomic_files import WRITER_LOCK, only_writer
from nowcast.locks import SILENT_SECONDS, locked

HOLD = """
import sys, time
from pathlib import Path
from nowcast.atomic_files import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that writes `tmp_path / "folder"`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "folder")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_told_who_the_first_is(holder: subprocess.Popen, tmp_path: Path) -> None:
    expected = f"process {holder.pid} on {socket.gethostname()} is writing {tmp_path / 'folder'}; wait until"
    for _ in range(2):  # asking does not loosen it
        with pytest.raises(NowcastError, match=expected), only_writer(tmp_path / "folder"):
            pytest.fail("two writers")


def test_a_killed_writer_blocks_nobody(holder: subprocess.Popen, tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    lock = tmp_path / "folder" / WRITER_LOCK
    assert json.loads(lock.read_text())["process"] == holder.pid, "the kill left its name behind"
    with only_writer(tmp_path / "folder"):
        assert json.loads(lock.read_text()) == {"host": socket.gethostname(), "process": os.getpid()}
    assert lock.read_text() == ""


def test_a_writer_on_another_host_is_respected_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    lock = tmp_path / WRITER_LOCK
    lock.write_text(json.dumps({"host": "node17", "process": 4711}))
    with pytest.raises(NowcastError, match="process 4711 on node17 is writing .* dead after 5 silent minutes"):
        with only_writer(tmp_path):
            pytest.fail("two writers")
    assert json.loads(lock.read_text())["host"] == "node17"
    long_ago = lock.stat().st_mtime - SILENT_SECONDS - 1
    os.utime(lock, (long_ago, long_ago))
    with only_writer(tmp_path):
        assert json.loads(lock.read_text())["process"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == [WRITER_LOCK]


def test_a_holder_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nowcast.locks.TOUCH_SECONDS", 0.01)
    with only_writer(tmp_path):
        os.utime(tmp_path / WRITER_LOCK, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / WRITER_LOCK).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / WRITER_LOCK).stat().st_mtime > 0
    assert all(thread.name != "lock" for thread in threading.enumerate())


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="full"), only_writer(tmp_path):
            raise OSError("full")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": "a"}', '{"host": "a", "process": "x"}'])
def test_a_damaged_lock_file_holds_nobody_up(tmp_path: Path, content: str) -> None:
    (tmp_path / WRITER_LOCK).write_text(content)
    with only_writer(tmp_path):
        pass


def test_waiting_tells_once_and_goes_on_when_the_holder_has_gone(tmp_path: Path) -> None:
    told: list[str] = []
    entered, other = threading.Event(), tmp_path / ".a.lock"

    def wait() -> None:
        with locked(other, "run a", told.append):
            entered.set()

    thread = threading.Thread(target=wait)
    with locked(other, "run a"):
        thread.start()
        assert not entered.wait(0.6)
    thread.join(10)
    assert entered.is_set() and told == [
        f"process {os.getpid()} on {socket.gethostname()} is writing run a; waiting for it"
    ]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NowcastError, match="cannot be written"), only_writer(tmp_path / "file" / "archive"):
        pytest.fail("no folder")
