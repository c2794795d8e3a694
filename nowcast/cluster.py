"""Where work goes: this process, processes of this machine, or the workers of a dask cluster. No torch here."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nowcast.errors import NowcastError

CONNECT_SECONDS = 20
"""How long a scheduler may take to answer."""


@contextmanager
def executor_of(
    workers: int | None = 1, cluster: str | None = None, read: Sequence[Path] = (), written: Sequence[Path] = ()
) -> Iterator[Executor | None]:
    """An executor for tasks of plain data, or None for "here, one after the other".

    Args:
        workers: processes of this machine; one needs no other process, None takes one a core.
        cluster: address of a dask scheduler instead, such as "tcp://host:8786"; its workers have one thread each and
            see `read` and `written` under the same paths.
        read: files or folders that tasks read.
        written: folders, already there, that tasks write into.

    Raises:
        NowcastError: no scheduler answers there, its workers have several threads or another nowcast, or they do not
            see a path.
    """
    if cluster is not None:
        with _cluster(cluster, read, written) as executor:
            yield executor
        return
    processes = workers or os.cpu_count() or 1
    if processes == 1:
        yield None
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_one_thread)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # what it has in hand would keep everybody waiting
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Processes share the cores: each works on one, and results do not depend on how many there are."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; ours ends the others
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"


@contextmanager
def _cluster(address: str, read: Sequence[Path], written: Sequence[Path]) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise NowcastError('--cluster needs dask.distributed; pip install "nowcast[cluster]"') from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise NowcastError(
            f"no dask scheduler answers at {address} ({str(error).splitlines()[0][:120]}); start one with "
            "`dask scheduler`, and workers with `dask worker --nthreads 1`"
        ) from None
    with client:
        _check(client, address, read, written)
        # Not pure: equal tasks are still run once each, and a task of a killed worker is run again by itself.
        yield client.get_executor(pure=False)


def _check(client: Any, address: str, read: Sequence[Path], written: Sequence[Path]) -> None:
    """Tell at the start what would fail, or differ, on some worker after hours."""
    threads = client.nthreads()
    if not threads:
        raise NowcastError(f"the dask scheduler at {address} has no workers; start `dask worker --nthreads 1`")
    for worker, count in threads.items():
        if count != 1:
            raise NowcastError(
                f"the worker {worker} has {count} threads, but netCDF is not safe to use from several; start workers "
                "with --nthreads 1, as many as there are cores"
            )
    for path in (Path(path).resolve() for path in read):
        _all_see(client, path, str(path))
    for folder in (Path(folder).resolve() for folder in written):
        probe = folder / f".probe-{uuid.uuid4().hex}"
        try:
            probe.touch()
            _all_see(client, folder, str(probe))
        except OSError as error:
            raise NowcastError(f"{folder} cannot be written ({error.strerror})") from None
        finally:
            probe.unlink(missing_ok=True)


def _all_see(client: Any, path: Path, probe: str) -> None:
    blind = [worker for worker, sees in client.run(os.path.exists, probe).items() if not sees]
    if blind:
        raise NowcastError(
            f"{len(blind)} of the workers, first {blind[0]}, do not see {path}; put it on a disk that this machine and "
            "all workers mount under the same path"
        )
