"""Reading a flight log back: what the camera showed, when, and what was commanded."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader

from navstack.errors import InputError
from navstack.flight import FORGET_AFTER
from navstack.opencv import cv2


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
    times = np.array([_seconds(message) for message in frames])
    gaps = np.diff(times, prepend=-np.inf)
    first = gaps > FORGET_AFTER
    dt = np.where(first, 1.0 / rate_hz, np.where(first, 1.0, gaps))
    values = [[message[name] for name in ("forward", "left", "up", "yaw_rate")] for message in commands]
    images = np.stack([_picture(path, message) for message in frames])
    return LoggedFlight(images, dt.astype(np.float32), first, np.array(values, np.float32).reshape(-1, 4))


def _messages(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {"/camera": [], "/command": []}
    try:
        with path.open("rb") as file:
            reader = NonSeekingReader(file)  # needs no index at the end, which a killed flight has not
            for _, channel, message in reader.iter_messages(topics=list(found), log_time_order=False):
                found[channel.topic].append(json.loads(message.data))
    except (OSError, McapError, ValueError) as error:
        if not found["/camera"]:
            raise InputError(f"{path}: not a flight log of navstack fly ({error})") from error
    pairs = min(len(rows) for rows in found.values())  # a kill may have come between the two
    return found["/camera"][:pairs], found["/command"][:pairs]


def _seconds(message: dict[str, Any]) -> float:
    return float(message["timestamp"]["sec"] + 1e-9 * message["timestamp"]["nsec"])


def _picture(path: Path, message: dict[str, Any]) -> npt.NDArray[np.uint8]:
    data = np.frombuffer(base64.b64decode(message["data"]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"{path}: a frame of the camera is no picture that can be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)
