"""Where velocity comes from when the autopilot has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from navstack.contract import Vector3


@dataclass(frozen=True, slots=True)
class Motion:
    """What a source of velocity knows."""

    time: float  # s, on the flight loop's clock
    velocity: Vector3  # m/s, forward, left, up in the level body frame
    height: float  # m above the ground


class MotionSource(Protocol):
    """What measures velocity: optical flow with a rangefinder, or the truth in simulation."""

    def motion(self) -> Motion | None:
        """The newest measurement; None before the first."""
        ...
