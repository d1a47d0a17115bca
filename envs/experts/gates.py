"""The pilot of Gates: along each gate's axis through its middle, looking at the gate, then at the next.

The command depends on the true state and on which gate is next. Before a gate the pilot aims at a point of
its axis that runs ahead, so that what is off the axis shrinks with the square of the distance; behind a gate
its axis fades into the way to the next. Who is beside a gate or has missed it is led round its post, back to
its front. As in Clutter, it steers by where the vehicle will be a moment later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.experts.approach import saturate
from navstack.envs.experts.clutter import share_of_speed
from navstack.envs.worlds.gates import OPENING, OUTSIDE

AHEAD = 1.0  # m: it aims at least so far ahead along the axis
FADE = 1.5  # m behind a gate, over which its axis fades into the way to the next
LOOK_ON = (0.5, 2.5)  # m before a gate, between which the look goes on to the next
ROUND = 0.5 * OUTSIDE + 0.7  # m from the axis to the way round a post
LARGEST_LEFT = 0.95  # m/s, just inside the limit


@dataclass(frozen=True, slots=True)
class Gate:
    """An opening to fly through."""

    middle: Vector3  # m, ENU
    yaw: float  # rad, the direction in which it is to be passed

    def seen_from(self, x: float, y: float) -> tuple[float, float]:
        """How far (m) a point is before the gate's plane, and how far to the left of its axis."""
        east, north = x - self.middle[0], y - self.middle[1]
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return -(east * c + north * s), north * c - east * s

    def passed(self, one: Vector3, other: Vector3) -> bool:
        """Whether the straight way from one point to the other passes the opening in the gate's direction."""
        before, left = self.seen_from(one[0], one[1])
        then, left_then = self.seen_from(other[0], other[1])
        if not then <= 0.0 < before:
            return False
        share = before / (before - then)
        aside = left + share * (left_then - left)
        above = one[2] + share * (other[2] - one[2]) - self.middle[2]
        return max(abs(aside), abs(above)) < 0.5 * OPENING

    def place(self, along: float, left: float) -> tuple[float, float]:
        """The point (m, ENU) so far along the axis behind the plane and so far to the left of it."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.middle[0] + along * c - left * s, self.middle[1] + along * s + left * c


class Course(Protocol):
    """Gates in order and which of them is next: the judge knows."""

    gates: tuple[Gate, ...]
    next: int


@dataclass(frozen=True, slots=True)
class GatesExpert:
    """Fly through the gates of a course in order."""

    course: Course
    cruise: float = 1.5  # m/s
    climb: float = 0.8  # m/s
    turn: float = 1.0  # rad/s
    climb_gain: float = 1.2  # 1/s
    turn_gain: float = 1.6  # 1/s
    lead: float = 0.3  # s ahead that it steers by

    def command(self, state: VehicleState) -> VelocityCommand:
        """The velocity of the level body frame and the yaw rate that a pilot would fly from this state."""
        gates, number = self.course.gates, min(self.course.next, len(self.course.gates) - 1)
        gate, last = gates[number], gates[number - 1] if number else None
        x, y, z = state.position_enu
        vx, vy, _ = state.velocity_enu
        before, left = gate.seen_from(x + self.lead * vx, y + self.lead * vy)
        if gate.seen_from(x, y)[0] >= 0.0:  # who is about to pass has not missed it
            before = max(0.0, before)
        east, north = _towards(gate, before, left)
        height = gate.middle[2]
        if last is not None:
            left_behind = _smooth(math.hypot(x - last.middle[0], y - last.middle[1]) / FADE)
            east = left_behind * east + (1.0 - left_behind) * math.cos(last.yaw)
            north = left_behind * north + (1.0 - left_behind) * math.sin(last.yaw)
            height = left_behind * height + (1.0 - left_behind) * last.middle[2]
        turned = math.remainder(math.atan2(north, east) - state.yaw, math.tau)
        speed = self.cruise * share_of_speed(turned)
        speed /= max(1.0, speed * abs(math.sin(turned)) / LARGEST_LEFT)
        look = self._look(gate, gates[number + 1] if number + 1 < len(gates) else None, x, y)
        return VelocityCommand(
            forward=speed * math.cos(turned),
            left=speed * math.sin(turned),
            up=saturate(self.climb_gain * (height - z), self.climb),
            yaw_rate=saturate(self.turn_gain * math.remainder(look - state.yaw, math.tau), self.turn),
        )

    def _look(self, gate: Gate, following: Gate | None, x: float, y: float) -> float:
        """Where the nose points: at the gate, and near it at the one that follows."""
        here = math.atan2(gate.middle[1] - y, gate.middle[0] - x)
        on = gate.yaw
        if following is not None:
            on = math.atan2(following.middle[1] - y, following.middle[0] - x)
        before, left = gate.seen_from(x, y)
        share = _smooth((LOOK_ON[1] - before) / (LOOK_ON[1] - LOOK_ON[0]))
        share *= _smooth((OPENING - abs(left)) / (0.5 * OPENING)) * _smooth(1.0 + 2.0 * min(0.0, before))
        return here + share * math.remainder(on - here, math.tau)


def _towards(gate: Gate, before: float, left: float) -> tuple[float, float]:
    """Unit vector (ENU) of the way through the gate, from so far before its plane and left of its axis."""
    side = math.copysign(1.0, left)
    if before >= 0.0:
        # The farther off the axis for the distance that is left, the farther before the gate it aims.
        beside = max(0.0, abs(left) - 0.5 * before - 0.2)
        aim = gate.place(max(-0.5 * before, AHEAD - before) - 2.5 * beside, 0.0)
    elif abs(left) < ROUND:
        aim = gate.place(max(-before, 0.8), side * (ROUND + 0.5))
    else:
        aim = gate.place(-2.0, side * ROUND)
    x, y = gate.place(-before, left)
    east, north = aim[0] - x, aim[1] - y
    away = max(1e-9, math.hypot(east, north))
    return east / away, north / away


def _smooth(share: float) -> float:
    """0 below 0, 1 above 1, smoothly between."""
    share = min(1.0, max(0.0, share))
    return share * share * (3.0 - 2.0 * share)
