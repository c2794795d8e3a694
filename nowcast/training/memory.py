"""Memory that a training step frees stays with the process, since the next step wants the same again."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def disable_malloc_trim() -> bool:
    """Tell glibc not to hand large freed blocks back to the kernel; True if it listened.

    Every activation of a step on the CPU is otherwise mapped anew and cleared page by page: a small ConvGRU trained
    1.4 times slower (benchmarks/training.py). Holds for the whole process; other allocators are left alone.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
