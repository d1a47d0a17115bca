"""The pilot of Hike: to the stated side until the next target is in view, then up to it, round what stands.

It knows where the next target is, but turns as one who does not: always to the stated side, on the spot. A
passed target that stands in the way is passed on that side too, along a tangent.
"""

from __future__ import annotations

import math
from typing import Protocol

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.experts.search import IN_VIEW, LOST

TURN = 0.9  # rad/s while the next target is out of view
BERTH = 1.8  # m kept from the middle of a target that is passed
AHEAD = 0.2  # rad: a target this close to the line of flight is passed on the stated side


class Course(Protocol):
    """What the pilot knows of how far the hike has come."""

    @property
    def target_enu(self) -> Vector3:
        """Centre of the target to reach now."""
        ...

    @property
    def standing(self) -> tuple[Vector3, ...]:
        """Centres of the other targets that stand there."""
        ...


class HikeExpert:
    """Turns, finds, approaches; one target after the other."""

    def __init__(self, course: Course, side: float) -> None:
        self.course, self.side = course, side  # 1 for left, -1 for right

    def command(self, state: VehicleState) -> VelocityCommand:
        """What a pilot would fly who sees what the camera sees and was told the side."""
        target = self.course.target_enu
        x, y, _ = state.position_enu
        direction = math.atan2(target[1] - y, target[0] - x)
        bearing = math.remainder(direction - state.yaw, math.tau)
        flown = ApproachExpert(target).command(state)
        seen = min(1.0, max(0.0, (LOST - abs(bearing)) / (LOST - IN_VIEW)))
        forward, left = seen * flown.forward, seen * flown.left
        if forward * math.cos(bearing) + left * math.sin(bearing) > 0.0:
            aside = self._way_round(x, y, direction, math.dist((x, y), target[:2]))
            c, s = math.cos(aside), math.sin(aside)
            forward, left = c * forward - s * left, s * forward + c * left
        return VelocityCommand(
            forward=forward,
            left=max(-1.0, min(1.0, left)),
            up=flown.up,
            yaw_rate=seen * flown.yaw_rate + (1.0 - seen) * self.side * TURN,
        )

    def _way_round(self, x: float, y: float, direction: float, distance: float) -> float:
        """rad by which the way turns off the straight one, for the nearest target that stands on it."""
        nearest, turn = distance, 0.0
        for east, north, _ in self.course.standing:
            away = math.dist((x, y), (east, north))
            if away >= nearest:
                continue
            off = math.remainder(direction - math.atan2(north - y, east - x), math.tau)
            half = math.asin(min(1.0, BERTH / away))
            if abs(off) < half:
                side = self.side if abs(off) < AHEAD else math.copysign(1.0, off)
                nearest, turn = away, side * half - off
        return turn
