"""An experiment's share of the cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads_of_a_job(jobs: int) -> Iterator[None]:
    """As many threads as one of several jobs has, for as long as the block runs."""
    before = torch.get_num_threads()
    try:
        if jobs > 1:
            torch.set_num_threads(cores_of_a_job(jobs))
        yield
    finally:
        torch.set_num_threads(before)


def cores_of_a_job(jobs: int) -> int:
    """This process's share of the cores, divided."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there // jobs)
