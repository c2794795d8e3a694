"""Carrying out a plan: finished runs are skipped, interrupted ones continue, several may be trained at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from nowcast.errors import NowcastError
from nowcast.locks import LOCK_SUFFIX, locked
from nowcast.training import train
from pipelines.engine.arms import Plan, PlannedRun
from pipelines.engine.cores import cores_of_a_job


def carry_out(plan: Plan, executor: Executor | None = None, *, jobs: int = 1, progress: bool = True) -> None:
    """Train every run of a plan that is not finished, each after the run that it starts from.

    Args:
        plan: the runs, parents before children.
        executor: where to train; its workers see the plan's folder and the archive under the same paths, train one run
            at a time in a process, and are left with the threads and the GPU that they have. None trains here.
        jobs: without an executor, runs at the same time. Each has a process, its share of the cores and, where there
            are several GPUs, one of them. The number of threads can change the last digits of sums, as on another
            machine.
        progress: say what is done.

    Raises:
        NowcastError: a run failed. Those that are trained beside it stop at a checkpoint, in an executor of the
            caller's they continue to their end.
        KeyboardInterrupt: interrupted; what was being trained here is saved. The same call continues from there.
    """
    waiting = [run for run in plan.runs.values() if not plan.finished(run)]
    if progress and len(waiting) < len(plan.runs):
        print(f"{len(plan.runs) - len(waiting)} of {len(plan.runs)} runs are finished already", flush=True)
    if executor is not None:
        _train_all(plan, waiting, executor, [Place()] * len(waiting), progress)
    elif jobs == 1:
        for run in waiting:
            train_one(plan.folder, run, progress)
    elif waiting:
        with _own_processes(jobs) as pool:
            _train_all(plan, waiting, pool, _places(jobs), progress)


def train_one(folder: Path, run: PlannedRun, progress: bool) -> None:
    """Train one run in a folder of runs, or wait until the process that already does has finished it."""
    folder.mkdir(parents=True, exist_ok=True)

    def told(who: str) -> None:
        if progress:
            print(who, flush=True)

    path = run.path(folder)
    with locked(path.with_name(f".{path.name}{LOCK_SUFFIX}"), path.name, told):
        if not run.finished(folder):
            train(run.experiment, folder, resume=True, progress=progress)


@dataclass(frozen=True)
class Place:
    """What a worker may use, by default what it has: threads of torch, and a GPU as CUDA_VISIBLE_DEVICES names it."""

    threads: int | None = None
    gpu: str | None = None


def train_task(folder: Path, run: PlannedRun, place: Place) -> str | None:
    """One run as a task for an executor: what went wrong, in one sentence, or None.

    A sentence and no exception, because an executor may try again what raised one.
    """
    if place.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place.gpu
    if place.threads is not None:
        torch.set_num_threads(place.threads)
    try:
        with _Listening.working():
            train_one(folder, run, progress=False)
    except NowcastError as error:
        return str(error)
    return None


class _Listening:
    """When a worker process of ours obeys SIGTERM: in its task, never while it hands over a result.

    A worker that died there would hold the lock of the queue of results for good, and all others would wait for it.
    """

    busy = told = False

    @classmethod
    def hear(cls, number: int, frame: FrameType | None) -> None:
        cls.told = True
        if cls.busy:
            raise KeyboardInterrupt

    @classmethod
    @contextmanager
    def working(cls) -> Iterator[None]:
        cls.busy = True
        try:
            if cls.told:
                raise KeyboardInterrupt
            yield
        finally:
            cls.busy = False


def _listen_while_working() -> None:
    """What a new worker does first. Ctrl-C reaches every process of the terminal; here the parent decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _Listening.hear)


def _train_all(plan: Plan, waiting: list[PlannedRun], executor: Executor, free: list[Place], progress: bool) -> None:
    """Hand out runs whose parent is finished, at most as many at a time as there are places."""
    going: dict[Future[str | None], tuple[PlannedRun, Place]] = {}
    unfinished = {run.identity for run in waiting}
    try:
        while unfinished:
            for run in [run for run in waiting if run.parent not in unfinished][: len(free)]:
                waiting.remove(run)
                place = free.pop(0)
                going[executor.submit(train_task, plan.folder, run, place)] = run, place
                if progress:
                    print(f"train {run.experiment.name}", flush=True)
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                run, place = going.pop(future)
                free.append(place)
                _check(future, run)
                unfinished.remove(run.identity)
                if progress:
                    print(f"      {run.experiment.name} is finished", flush=True)
    finally:
        for future in going:
            future.cancel()


def _check(future: Future[str | None], run: PlannedRun) -> None:
    try:
        wrong = future.result()
    except BrokenExecutor:
        wrong = (
            f"the process that trained {run.experiment.name} ended abruptly (out of memory?); the same command "
            "continues from its last checkpoint"
        )
    if wrong is not None:
        raise NowcastError(wrong)


@contextmanager
def _own_processes(jobs: int) -> Iterator[Executor]:
    """A pool of processes, a new one for each run; on an error or a signal they are told to save and stop."""
    others = set(multiprocessing.active_children())
    # Spawned, since CUDA and torch's threads do not survive a fork; new ones, since CUDA reads once which GPU to use.
    # They do not listen to Ctrl-C, except while they train, since it is this process that ends them.
    pool = ProcessPoolExecutor(
        jobs,
        multiprocessing.get_context("spawn"),
        initializer=_listen_while_working,
        max_tasks_per_child=1,
    )
    with _sigterm_is_an_interrupt():
        try:
            yield pool
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # SIGTERM: the training saves a checkpoint first
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _places(jobs: int) -> list[Place]:
    """The cores, and the GPUs where there are several, shared out."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(k) for k in range(count)]
    threads = cores_of_a_job(jobs)
    return [Place(threads, names[k % count] if count > 1 else None) for k in range(jobs)]


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
