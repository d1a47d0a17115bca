"""A watching process's side of its standard input: one line of settings, then the loop's sign of life."""

from __future__ import annotations

import json
import os
import select
from typing import Any

from navstack.opencv import one_thread

STDIN = 0
STEP_BACK = 5  # nice levels below the loop
LONGEST = 1 << 20  # bytes of settings


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
