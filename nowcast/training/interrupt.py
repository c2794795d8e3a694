"""Ctrl-C and SIGTERM, heard between two optimizer steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While active, a signal only sets `asked`; a second Ctrl-C stops at once.

    SIGTERM never does: who leads several processes sends it after a Ctrl-C that reached them all, and perhaps twice.
    Signals can be caught in the main thread only; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        self._ctrl_c = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._ctrl_c:
            raise KeyboardInterrupt
        self._ctrl_c |= number == signal.SIGINT
        self.asked = True
