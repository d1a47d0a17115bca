"""The pilot of Search: turn on the spot until the target is in view, then fly as the pilot of FlyToTarget.

It knows where the target is, but turns as one who does not: always to the left at first, and afterwards to
the side on which the target left the view. What it does can therefore be learned from what the camera saw.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.experts.approach import ApproachExpert

IN_VIEW = math.radians(36.0)  # bearing up to which the target is seen whole enough to be recognised
LOST = math.radians(42.0)  # bearing from which it is out of view


@dataclass(slots=True)
class SearchExpert:
    """Find the target by turning, then fly up to it. It remembers on which side it last saw it."""

    target_enu: Vector3  # m
    turn: float = 0.9  # rad/s while searching: at 20 Hz a target stays in view for 30 frames
    side: float = 1.0  # 1 for left, -1 for right
    approach: ApproachExpert = field(init=False)

    def __post_init__(self) -> None:
        """Learn to approach."""
        self.approach = ApproachExpert(self.target_enu)

    def command(self, state: VehicleState) -> VelocityCommand:
        """What a pilot would fly who sees what the camera sees."""
        x, y, _ = state.position_enu
        bearing = math.remainder(
            math.atan2(self.target_enu[1] - y, self.target_enu[0] - x) - state.yaw, math.tau
        )
        flown = self.approach.command(state)
        seen = min(1.0, max(0.0, (LOST - abs(bearing)) / (LOST - IN_VIEW)))
        if seen > 0.0:
            self.side = math.copysign(1.0, bearing)
        searching = self.side * self.turn
        return VelocityCommand(
            forward=seen * flown.forward,
            left=seen * flown.left,
            up=flown.up,
            yaw_rate=seen * flown.yaw_rate + (1.0 - seen) * searching,
        )
