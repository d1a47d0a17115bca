"""A child's side of its parent: settings and the sign of life on its standard input, and its parent's end."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
from typing import Any

from navstack.opencv import one_thread

_LIBC = ctypes.CDLL(None)
_SET_PARENT_DEATH_SIGNAL = 1  # linux/prctl.h, PR_SET_PDEATHSIG
_SET_TIMER_SLACK = 29  # linux/prctl.h, PR_SET_TIMERSLACK
STDIN = 0
STEP_BACK = 5  # nice levels below the loop
LONGEST = 1 << 20  # bytes of settings


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it ends, however that came.

    Called by a program at its start, or in a child before it becomes another program (`preexec_fn`).
    """
    _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def sleep_exactly() -> None:
    """Have the kernel end this thread's sleeps when they are over, and not up to 50 us later.

    Threads and programs that it starts inherit it. It costs the kernel a timer interrupt for each sleep.
    """
    _LIBC.prctl(_SET_TIMER_SLACK, 1, 0, 0, 0)


def step_back() -> None:
    """Leave the processor to the loop where both want it, and other cores to others."""
    os.nice(STEP_BACK)
    one_thread()


def read_settings() -> dict[str, Any]:
    """The settings, read byte by byte so that nothing after the line is swallowed."""
    line = bytearray()
    while len(line) < LONGEST:
        piece = os.read(STDIN, 1)
        if piece in (b"", b"\n"):
            break
        line += piece
    settings: dict[str, Any] = json.loads(line)
    return settings


def loop_is_gone() -> bool:
    """Whether standard input has ended: the loop's process has, however that came."""
    ready, _, _ = select.select([STDIN], [], [], 0.0)
    return bool(ready) and not os.read(STDIN, 1)
