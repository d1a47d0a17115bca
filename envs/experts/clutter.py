"""The pilot of Clutter: the shortest way among the trunks, flown camera forward, then as in FlyToTarget.

It plans in the true world, on the tangent graph of discs around the trunks that leave room for the vehicle,
to the nearest place on a circle around the target from which the target is in sight. What it flies depends on
the true state alone: wherever a learner gets to, the command is the beginning of the shortest way from there,
with a push outwards where a trunk is too near. It steers by where the vehicle will be a moment later, which
takes the vehicle's lag out of the curves. The nose points along the way as far as the target stays in the
picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.experts.approach import ApproachExpert, saturate
from navstack.envs.experts.tangents import Array, TangentGraph, Way, clear

MARGIN = 0.7  # m between a trunk and the way of the vehicle's middle
GOALS = 32  # places on the circle around the target
SIGHT = 0.1  # m that the line of sight keeps from a trunk
LEAD = 0.35  # s ahead that it steers by
LARGEST_LEFT = 0.95  # m/s, just inside the limit: the direction of flight is kept where speed has to give
PUSH_GAIN, PUSH = 1.5, 0.8  # 1/s and m/s, out of a trunk's disc
LOOK_ASIDE = math.radians(30.0)  # of the camera's 40 to a side: how far the nose may turn from the target
IN_PICTURE, BLIND = math.radians(35.0), math.radians(75.0)  # from the nose: full speed up to, creeping beyond
CREEP = 0.2  # share of the speed


@dataclass(slots=True)
class ClutterExpert:
    """Fly among trunks to `stand_off` metres in front of the target, facing it."""

    target_enu: Vector3  # m
    target_radius: float  # m
    trunks: Array  # (N, 3) x, y, radius in m, at least 2 MARGIN between them and from the target
    cruise: float = 1.4  # m/s
    approach: ApproachExpert = field(init=False)
    _discs: Array = field(init=False)
    _graph: TangentGraph | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Learn to approach, and inflate what stands about; the graph is made when it is first needed."""
        self.approach = ApproachExpert(self.target_enu, cruise=self.cruise)
        target = (self.target_enu[0], self.target_enu[1], self.target_radius)
        self._discs = np.vstack((self.trunks, target)) + (0.0, 0.0, MARGIN)

    def command(self, state: VehicleState) -> VelocityCommand:
        """The velocity of the level body frame and the yaw rate that a pilot would fly from this state."""
        x, y, z = state.position_enu
        vx, vy, _ = state.velocity_enu
        way, push = self._way(x + LEAD * vx, y + LEAD * vy)
        bearing = math.atan2(self.target_enu[1] - y, self.target_enu[0] - x)
        closing = saturate(self.approach.approach_gain * way.length, self.cruise)
        aside = math.remainder(way.direction - bearing, math.tau)
        towards = bearing + min(1.0, closing / self.cruise) * saturate(aside, LOOK_ASIDE)
        turned = math.remainder(way.direction - state.yaw, math.tau)
        speed = closing * share_of_speed(turned) / max(1.0, abs(closing * math.sin(turned)) / LARGEST_LEFT)
        ahead = math.cos(state.yaw), math.sin(state.yaw)
        return VelocityCommand(
            forward=speed * math.cos(turned) + push[0] * ahead[0] + push[1] * ahead[1],
            left=speed * math.sin(turned) - push[0] * ahead[1] + push[1] * ahead[0],
            up=saturate(self.approach.climb_gain * (self.approach.height - z), self.approach.climb),
            yaw_rate=saturate(
                self.approach.turn_gain * math.remainder(towards - state.yaw, math.tau), self.approach.turn
            ),
        )

    def _way(self, x: float, y: float) -> tuple[Way, tuple[float, float]]:
        """The way from a point, and the push (m/s, ENU) out of the disc that the point is in."""
        gaps = np.hypot(self._discs[:, 0] - x, self._discs[:, 1] - y) - self._discs[:, 2]
        nearest = int(gaps.argmin())
        push = (0.0, 0.0)
        if gaps[nearest] < 0.0:
            center_x, center_y, radius = self._discs[nearest].tolist()
            away = math.atan2(y - center_y, x - center_x)
            strength = saturate(-PUSH_GAIN * float(gaps[nearest]), PUSH)
            push = (strength * math.cos(away), strength * math.sin(away))
            x, y = center_x + radius * math.cos(away), center_y + radius * math.sin(away)
        return self._straight(x, y) or self._round(x, y), push

    def _straight(self, x: float, y: float) -> Way | None:
        """Straight to the circle around the target, where that is free; a negative length is backwards."""
        target = np.array(self.target_enu[:2])
        offset = target - (x, y)
        distance = float(np.hypot(*offset))
        toward = math.atan2(offset[1], offset[0])
        stop = target - self.approach.stand_off * offset / max(distance, 1e-9)
        free = clear(np.array(((x, y),)), stop[None], self._discs)[0]
        if not free or not self._in_sight(stop[None])[0]:
            return None
        away = distance - self.approach.stand_off
        return Way(toward, away)

    def _round(self, x: float, y: float) -> Way:
        """Round what is in the way; it hovers where the target is seen from nowhere."""
        if self._graph is None:
            self._graph = TangentGraph(self._discs, self._goals())
        return self._graph.way(x, y) or Way(0.0, 0.0)

    def _goals(self) -> Array:
        """Places on the circle around the target from which it is seen."""
        angles = np.arange(GOALS) * (math.tau / GOALS)
        places = self.approach.stand_off * np.column_stack((np.cos(angles), np.sin(angles)))
        places = places + self.target_enu[:2]
        apart = np.hypot(*(places[:, None] - self._discs[None, :, :2]).transpose(2, 0, 1))
        return places[(apart > self._discs[:, 2]).all(axis=1) & self._in_sight(places)]

    def _in_sight(self, places: Array) -> npt.NDArray[np.bool_]:
        target = np.broadcast_to(self.target_enu[:2], places.shape)
        return clear(places, target, self.trunks + (0.0, 0.0, SIGHT))


def share_of_speed(turned: float) -> float:
    """How fast to fly in a direction (rad from the nose): all in the picture, creeping out of it."""
    share = min(1.0, max(0.0, (BLIND - abs(turned)) / (BLIND - IN_PICTURE)))
    return CREEP + (1.0 - CREEP) * share * share * (3.0 - 2.0 * share)
