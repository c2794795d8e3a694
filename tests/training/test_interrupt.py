"""Signals between two steps: asked once, impatient only at the second Ctrl-C."""

from __future__ import annotations

import os
import signal
import time

import pytest

from nowcast.training.interrupt import Interrupt


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python handles it at the next opportunity


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)],
    ids=lambda numbers: " then ".join(number.name for number in numbers),
)
def test_signals_only_ask(numbers: tuple[signal.Signals, signal.Signals]) -> None:
    with Interrupt() as interrupt:
        assert not interrupt.asked
        for number in numbers:
            send(number)
            assert interrupt.asked


def test_the_second_ctrl_c_stops_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupt():
        send(signal.SIGINT)
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
