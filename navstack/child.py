"""A watching process's side of its standard input: one line of settings, then the loop's sign of life."""

from __future__ import annotations

import json
import os
import select
from typing import Any

STDIN = 0
LONGEST = 1 << 20  # bytes of settings


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
