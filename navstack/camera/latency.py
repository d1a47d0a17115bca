"""`navstack camera latency`: a screen flashes, the camera films it, and the difference is measured."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from navstack.camera.sources import Picture, open_source
from navstack.commands.camera import Latency
from navstack.errors import InputError

SHORTEST, LONGEST = 0.5, 1.0  # s between two changes
GIVE_UP = 2.0  # s for a change to be seen
LEAST_STEP = 25.0  # of 255, between the picture's brightness in black and in white


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from each change until its picture was here, and from its capture time where one is told."""

    arrival: list[float]
    capture: list[float]  # the part until the picture was taken, where the source says when


def measure(
    read: Callable[[], Picture | None], show: Callable[[bool], None], flashes: int, rng: np.random.Generator
) -> Measured:
    """Show black and white in turn and see when the camera has it.

    Raises InputError where the camera does not see the screen, or ends.
    """
    show(False)
    dark = _settled(read)
    show(True)
    bright = _settled(read)
    if bright - dark < LEAST_STEP:
        raise InputError(
            f"the camera does not see the screen change (brightness {dark:.0f} and {bright:.0f} of 255):"
            " let the terminal fill the screen and the screen fill the picture"
        )
    middle, white = 0.5 * (dark + bright), True
    arrival, capture = [], []
    for _ in range(flashes):
        _watch(read, rng.uniform(SHORTEST, LONGEST))
        white = not white
        changed = time.monotonic()
        show(white)
        while True:
            picture = _next(read)
            now = time.monotonic()
            if (picture.bgr.mean() > middle) == white:
                arrival.append(now - changed)
                if picture.captured is not None:
                    capture.append(picture.captured - changed)
                break
            if now - changed > GIVE_UP:
                raise InputError(f"a change of the screen was not seen within {GIVE_UP:g} s")
    return Measured(arrival, capture)


def _next(read: Callable[[], Picture | None]) -> Picture:
    picture = read()
    if picture is None:
        raise InputError("the camera has ended")
    return picture


def _watch(read: Callable[[], Picture | None], seconds: float) -> float:
    end, value = time.monotonic() + seconds, 0.0
    while time.monotonic() < end:
        value = float(_next(read).bgr.mean())
    return value


def _settled(read: Callable[[], Picture | None]) -> float:
    """Brightness after the exposure has settled."""
    return _watch(read, 1.5)


def fill_terminal(white: bool) -> None:
    """The whole terminal in one colour."""
    sys.stdout.write(f"\x1b[{107 if white else 40}m\x1b[2J\x1b[H")
    sys.stdout.flush()


def run(arguments: Latency) -> int:
    """Measure and print what to declare."""
    if not sys.stdout.isatty():
        raise InputError("the screen of this terminal is what the camera films; run it in a terminal")
    source = open_source(arguments.camera, 60.0)
    with contextlib.closing(source):
        try:
            rng = np.random.default_rng(arguments.seed)
            found = measure(source.read, fill_terminal, arguments.flashes, rng)
        finally:
            sys.stdout.write("\x1b[0m\x1b[2J\x1b[H")
    print(report(found))
    return 0


def report(found: Measured) -> str:
    """What was measured and what to declare."""
    low, middle, high = (1e3 * float(q) for q in np.quantile(found.arrival, (0.1, 0.5, 0.9)))
    spread = f"median {middle:.0f} ms ({low:.0f} to {high:.0f})"
    lines = [f"{len(found.arrival)} changes, from change to picture: {spread}"]
    lines.append(f"where the source tells no time, declare --camera-latency {1e-3 * middle:.3f}")
    if found.capture:
        told = 1e3 * float(np.median(found.capture))
        lines.append(f"the source tells the time of capture: {told:.0f} ms after the change, screen included")
    return "\n".join(lines)
