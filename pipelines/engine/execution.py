"""Carrying out a plan: finished runs are skipped, interrupted ones go on, several may run at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import torch

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

from nowcast.errors import NowcastError
from nowcast.training import train
from pipelines.engine.arms import Plan, PlannedRun
from pipelines.engine.cores import cores_of_a_job


def carry_out(plan: Plan, jobs: int = 1, progress: bool = True) -> None:
    """Train every run of a plan that is not finished.

    Args:
        plan: the runs, parents before children.
        jobs: runs at the same time. Each has a process, its share of the cores and, where there are several GPUs, one
            of them. The number of threads can change the last digits of sums, as on another machine.
        progress: say what is done.

    Raises:
        NowcastError: a run failed; those that were going on beside it are stopped at a checkpoint.
        KeyboardInterrupt: interrupted; what was going on is saved. The same call goes on from there.
    """
    waiting = [run for run in plan.runs.values() if not plan.finished(run)]
    if progress and len(waiting) < len(plan.runs):
        print(f"{len(plan.runs) - len(waiting)} of {len(plan.runs)} runs are finished already", flush=True)
    if jobs == 1:
        for run in waiting:
            train_one(plan, run, progress)
    elif waiting:
        _several(plan, waiting, jobs, progress)


def train_one(plan: Plan, run: PlannedRun, progress: bool) -> None:
    """Train one run, or wait until the process that already does has finished it."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    with _claimed(plan.path(run), progress):
        if not plan.finished(run):
            train(run.experiment, plan.folder, resume=True, progress=progress)


def _several(plan: Plan, waiting: list[PlannedRun], jobs: int, progress: bool) -> None:
    spawn = get_context("spawn")
    devices = _devices()
    threads = cores_of_a_job(jobs)
    going: dict[int, tuple[BaseProcess, PlannedRun, connection.Connection]] = {}
    places = list(range(jobs))
    with _sigterm_is_an_interrupt():
        try:
            while waiting or going:
                for run in [run for run in waiting if _ready(plan, run, waiting, going)][: len(places)]:
                    waiting.remove(run)
                    place = places.pop(0)
                    device = devices[place % len(devices)] if devices else None
                    receiver, sender = spawn.Pipe(duplex=False)
                    process: BaseProcess = spawn.Process(
                        target=_alone, args=(plan, run, threads, device, sender), daemon=True
                    )
                    process.start()
                    sender.close()
                    going[place] = process, run, receiver
                    if progress:
                        print(f"train {run.experiment.name}", flush=True)
                connection.wait([process.sentinel for process, _, _ in going.values()])
                for place in [p for p, (process, _, _) in going.items() if not process.is_alive()]:
                    process, run, receiver = going.pop(place)
                    places.append(place)
                    process.join()
                    _check(process, run, receiver)
                    if progress:
                        print(f"      {run.experiment.name} is finished", flush=True)
        finally:
            for process, _, _ in going.values():
                process.terminate()  # saves a checkpoint first
            for process, _, _ in going.values():
                process.join()


def _ready(plan: Plan, run: PlannedRun, waiting: list[PlannedRun], going: dict[int, Any]) -> bool:
    unfinished = {other.identity for other in waiting} | {other.identity for _, other, _ in going.values()}
    return run.parent not in unfinished


def _alone(plan: Plan, run: PlannedRun, threads: int, device: str | None, sender: connection.Connection) -> None:
    """The life of a process: one run."""
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    torch.set_num_threads(threads)
    try:
        train_one(plan, run, progress=False)
    except NowcastError as error:
        sender.send(str(error))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _check(process: BaseProcess, run: PlannedRun, receiver: connection.Connection) -> None:
    if process.exitcode == 0:
        return
    if process.exitcode == 130:
        raise KeyboardInterrupt
    told = receiver.recv() if process.exitcode == 1 and receiver.poll() else None
    raise NowcastError(told or f"training {run.experiment.name} failed with exit status {process.exitcode}; the same "
                               "command goes on from its last checkpoint")  # fmt: skip


def _devices() -> list[str]:
    """Names of the GPUs, where there are several to share out."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(k) for k in range(count)]
    return names if count > 1 else []


@contextmanager
def _claimed(path: Path, progress: bool) -> Iterator[None]:
    """Hold a run directory against other processes; the claim ends with the process, however it ends."""
    if fcntl is None:
        yield
        return
    with path.with_name(f".{path.name}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if progress:
                print(f"another process trains {path.name}; waiting for it", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def _sigterm_is_an_interrupt() -> Iterator[None]:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not in the main thread, where no signal arrives
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
