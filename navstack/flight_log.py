"""Reading a flight log back: what the camera showed, when, and what was commanded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from navstack.errors import InputError
from navstack.flight import FORGET_AFTER
from navstack.log_format import BROKEN, COMMAND, picture, read_messages, refused, seconds


@dataclass(frozen=True, slots=True)
class LoggedFlight:
    """The frames of one flight in the order in which the policy saw them."""

    image: npt.NDArray[np.uint8]  # (T, H, W, 3) RGB
    dt: npt.NDArray[np.float32]  # (T,) s that the policy was told
    first: npt.NDArray[np.bool_]  # (T,) whether the policy's state was reset before the frame
    command: npt.NDArray[np.float32]  # (T, 4) the policy's: forward, left, up m/s, yaw_rate rad/s


def read_flight_log(path: Path, rate_hz: float) -> LoggedFlight:
    """The frames in a log of `navstack fly`; one that a kill cut short is read up to there.

    Times follow the flight loop: `dt` is one nominal period (of `rate_hz`) after a reset, and the state is
    reset after a second without frames. Raises InputError where the file is no flight log or holds no frame.
    """
    frames, commands = _messages(path)
    if not frames:
        raise InputError(f"{path}: the flight log holds no frame of a camera")
    times = np.array([seconds(message) for message in frames])
    gaps = np.diff(times, prepend=-np.inf)
    first = gaps > FORGET_AFTER
    dt = np.where(first, 1.0 / rate_hz, gaps)
    values = [[getattr(message, name) for name in COMMAND] for message in commands]
    try:
        images = np.stack([picture(message) for message in frames])
    except BROKEN as error:
        raise InputError(f"{path}: {error}") from error
    return LoggedFlight(images, dt.astype(np.float32), first, np.array(values, np.float32).reshape(-1, 4))


def _messages(path: Path) -> tuple[list[Any], list[Any]]:
    found: dict[str, list[Any]] = {"/camera": [], "/command": []}
    try:
        for topic, message in read_messages(path, *found):
            found[topic].append(message)
    except BROKEN as error:
        if not found["/camera"]:
            raise refused(path, error) from error
    pairs = min(len(rows) for rows in found.values())  # a kill may have come between the two
    return found["/camera"][:pairs], found["/command"][:pairs]
