"""The pilot of Chase: keep the distance along the line of sight, and the target in the middle of the picture.

It flies towards and away from the target only and follows its sideways motion by turning, as one who does not
see which way the target heads. What it knows of the target's speed shows in how the picture changes.
"""

from __future__ import annotations

import math
from typing import Protocol

from navstack.contract import VehicleState, VelocityCommand
from navstack.envs.experts.approach import saturate

KEEP = 3.5  # m to the target's centre
HEIGHT = 1.75  # m
SPEED = 2.0  # m/s
TURN = 1.2  # rad/s
CLOSE_GAIN, CLIMB_GAIN, TURN_GAIN = 1.0, 0.9, 1.8  # 1/s


class Moving(Protocol):
    """Where a target is and goes."""

    def at(self, time: float) -> tuple[float, float, float, float]:
        """Place (m, ENU) and velocity (m/s, ENU): x, y, vx, vy."""
        ...


class ChaseExpert:
    """Stays behind a target that moves."""

    def __init__(self, path: Moving) -> None:
        self.path = path

    def command(self, state: VehicleState) -> VelocityCommand:
        """What a pilot would fly who watches the target."""
        (x, y, z), (vx, vy, _) = state.position_enu, state.velocity_enu
        tx, ty, tvx, tvy = self.path.at(state.time)
        east, north = tx - x, ty - y
        distance = max(0.5, math.hypot(east, north))
        east, north = east / distance, north / distance
        bearing = math.remainder(math.atan2(north, east) - state.yaw, math.tau)
        receding = tvx * east + tvy * north
        closing = receding + saturate(CLOSE_GAIN * (distance - KEEP), SPEED)
        swing = ((tvy - vy) * east - (tvx - vx) * north) / distance  # rad/s of the line of sight
        flown = max(-SPEED, min(SPEED, closing))
        return VelocityCommand(
            forward=flown * math.cos(bearing),
            left=max(-1.0, min(1.0, flown * math.sin(bearing))),
            up=saturate(CLIMB_GAIN * (HEIGHT - z), 0.8),
            yaw_rate=saturate(TURN_GAIN * bearing + swing, TURN),
        )
