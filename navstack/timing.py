"""When frames are taken and which of them arrive."""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.errors import InputError

_RANGES = (
    ("rate_hz", 1.0, 120.0),
    ("drop_probability", 0.0, 0.95),
    ("jitter", 0.0, 0.9),
    ("latency", 0.0, 0.5),
)


@dataclass(frozen=True, slots=True)
class FrameTiming:
    """The camera's clock: a rate, and how irregular it is.

    Raises InputError for a rate outside 1 to 120 Hz, a probability outside [0, 0.95], a jitter outside
    [0, 0.9] or a latency outside [0, 0.5] s.
    """

    rate_hz: float = 20.0  # frames taken per second
    drop_probability: float = 0.0  # each frame is lost independently with this probability
    jitter: float = 0.0  # each interval is scaled by a uniform draw from [1 - jitter, 1 + jitter]
    latency: float = 0.0  # s from when a frame is taken until it arrives

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InputError(f"frame timing: {name} is {value}; it must be between {low:g} and {high:g}")
