"""The pilot of FlyToTarget: turn towards the target while closing in, slow down smoothly, hold station.

The command is a smooth function of the true state and nothing else, so that it labels any state a learner
gets into (DAgger) as well as those it visits itself. Speeds saturate by tanh, which bounds the demanded
acceleration without a switch that a network would have to imitate; the vehicle's controller bounds what
remains at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.contract import Vector3, VehicleState, VelocityCommand

STAND_OFF = 3.3  # m: the success set is 2.2 to 4.2, and too close is the worse mistake
HEIGHT = 1.75  # m: near the middle of 1.2 to 2.4, and a target stays in view to its foot


@dataclass(frozen=True, slots=True)
class ApproachExpert:
    """Fly to `stand_off` metres in front of the target, at `height`, facing it."""

    target_enu: Vector3  # m
    stand_off: float = STAND_OFF  # m, horizontal
    height: float = HEIGHT  # m
    cruise: float = 1.6  # m/s
    climb: float = 0.8  # m/s
    turn: float = 1.0  # rad/s
    approach_gain: float = 0.8  # 1/s
    climb_gain: float = 0.9  # 1/s
    turn_gain: float = 1.6  # 1/s

    def command(self, state: VehicleState) -> VelocityCommand:
        """The velocity of the level body frame and the yaw rate that a pilot would fly from this state."""
        x, y, z = state.position_enu
        east, north = self.target_enu[0] - x, self.target_enu[1] - y
        bearing = math.remainder(math.atan2(north, east) - state.yaw, math.tau)
        closing = saturate(self.approach_gain * (math.hypot(east, north) - self.stand_off), self.cruise)
        return VelocityCommand(
            forward=closing * math.cos(bearing),
            left=max(-1.0, min(1.0, closing * math.sin(bearing))),
            up=saturate(self.climb_gain * (self.height - z), self.climb),
            yaw_rate=saturate(self.turn_gain * bearing, self.turn),
        )


def saturate(value: float, limit: float) -> float:
    """The value for small values, approaching the limit smoothly for large ones."""
    return limit * math.tanh(value / limit)
