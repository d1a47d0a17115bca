"""Where velocity comes from when the autopilot has none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from navstack.contract import Vector3


@dataclass(frozen=True, slots=True)
class Motion:
    """What a source of velocity knows. East and north may be its own: nobody checks them by a compass."""

    time: float  # s, on the flight loop's clock, when it was so
    position_enu: Vector3  # m, from where the source began
    velocity_enu: Vector3  # m/s
    yaw: float  # rad, counter-clockwise from east
    above_ground: float | None = None  # m, by a rangefinder that looks down; None without one

    @property
    def velocity_level(self) -> Vector3:
        """m/s, forward, left, up in the level body frame."""
        east, north, up = self.velocity_enu
        cos_yaw, sin_yaw = math.cos(self.yaw), math.sin(self.yaw)
        return (east * cos_yaw + north * sin_yaw, north * cos_yaw - east * sin_yaw, up)


class MotionSource(Protocol):
    """What measures motion: an estimator beside the autopilot, or the truth in simulation."""

    @property
    def name(self) -> str:
        """What it is, for findings: "ODOMETRY (visual-inertial) at udpin:127.0.0.1:14600, 30 a second"."""
        ...

    @property
    def complaint(self) -> str:
        """Why the newest that it sent is not to be believed; empty where it is. Age is not its matter."""
        ...

    def motion(self) -> Motion | None:
        """The newest measurement that is to be believed, having read what came; None before the first."""
        ...

    def close(self) -> None:
        """Close what it reads from; harmless when closed."""
        ...


class NoMotion:
    """No source: enough to look at a board, and nothing to fly by."""

    name = "none"
    complaint = "no source of velocity is given (--velocity)"

    def motion(self) -> None:
        """Nothing, ever."""

    def close(self) -> None:
        """Nothing to close."""
