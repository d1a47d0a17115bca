"""The two shapes of a fence: a circle around home, and a polygon.

Each knows how far its boundary is, which way is out, and how to bend a horizontal velocity so that it can
still be stopped inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from navstack.errors import InputError
from navstack.safety.rule import GuardConfig

LAG = 0.25  # of the reaction: a vehicle with a lag of L needs 4 L so as not to overshoot


class Room(NamedTuple):
    """The nearest boundary."""

    distance: float  # m, negative outside
    east: float  # unit vector out
    north: float


@dataclass(frozen=True, slots=True)
class Stopping:
    """From which speed a vehicle stops in time: v (t + l) + v^2 / (2 a) = d.

    t is its reaction, l the time that an autopilot flies on when the link or this computer is gone, a what it
    is sure to decelerate with. Wind may carry it `drift` beyond its command.
    """

    reaction: float  # s
    lag: float  # s
    braking: float  # m/s^2
    drift: float  # m/s
    margin: float  # m

    @classmethod
    def of(cls, config: GuardConfig) -> Stopping:
        """As configured."""
        return cls(
            config.reaction + config.link_loss,
            LAG * config.reaction,
            config.braking,
            config.drift,
            config.margin,
        )

    def drifting(self, more: float) -> Stopping:
        """Where the vehicle may leave its command by so much more (m/s)."""
        return Stopping(self.reaction, self.lag, self.braking, self.drift + more, self.margin)

    def allowed(self, distance: float) -> float:
        """Largest commanded speed (m/s) towards a boundary at this distance (m); below zero it leads away."""
        a, t, room = self.braking, self.reaction, max(0.0, distance - self.margin)
        return math.sqrt(2.0 * a * room + (a * t) ** 2) - a * t - self.drift

    def way(self, speed: float) -> float:
        """Metres until standstill from a commanded speed (m/s)."""
        speed += self.drift
        return speed * self.reaction + speed * speed / (2.0 * self.braking)

    def too_fast(self, speed: float, distance: float) -> bool:
        """Whether the vehicle itself must brake now, its lag counted but no reserve."""
        way = speed * self.lag + speed * speed / (2.0 * self.braking)
        return speed > 0.0 and way > distance


class Fence(Protocol):
    """A boundary in the plane, around home at the origin."""

    def room(self, x: float, y: float) -> Room:
        """The nearest boundary from this place (m east and north of home)."""
        ...

    def limit(self, east: float, north: float, x: float, y: float, stopping: Stopping) -> tuple[float, float]:
        """The velocity (m/s) at this place, bent and slowed so that it can be stopped inside."""
        ...


class Circle:
    """Everything within a radius."""

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def room(self, x: float, y: float) -> Room:
        """The nearest point of the circle."""
        away = math.hypot(x, y)
        if away < 1e-6:
            return Room(self.radius, 1.0, 0.0)
        return Room(self.radius - away, x / away, y / away)

    def limit(self, east: float, north: float, x: float, y: float, stopping: Stopping) -> tuple[float, float]:
        """Moving along a circle of this radius also leads out: its stopping way is a tangent's."""
        away = math.hypot(x, y)
        if away < 1e-6:
            return east, north
        room, ox, oy = self.room(x, y)
        outward, speed, allowed = east * ox + north * oy, math.hypot(east, north), stopping.allowed(room)
        if speed <= allowed or (outward <= allowed and self._tangent_stays_inside(speed, away, stopping)):
            return east, north
        excess = outward - min(outward, allowed)
        east, north = east - excess * ox, north - excess * oy
        speed = math.hypot(east, north)
        if not self._tangent_stays_inside(speed, away, stopping) and speed > allowed:
            if allowed <= 0.0:  # no way along the fence: only away from it
                inward = min(allowed, east * ox + north * oy)
                return inward * ox, inward * oy
            east, north = east * allowed / speed, north * allowed / speed
        return east, north

    def _tangent_stays_inside(self, speed: float, away: float, stopping: Stopping) -> bool:
        return math.hypot(away, stopping.way(speed)) <= self.radius - stopping.margin


class Polygon:
    """Everything inside a simple polygon, convex or not. Raises InputError for one that is none."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        if len(points) < 3:
            raise InputError(f"a fence polygon has at least 3 corners; found {len(points)}")
        if not all(map(math.isfinite, (value for point in points for value in point))):
            raise InputError("a fence polygon's corners must be finite numbers of metres east and north")
        self._edges = [(*a, *b) for a, b in zip(points, [*points[1:], points[0]], strict=True)]
        if any(math.hypot(c - a, d - b) < 1e-3 for a, b, c, d in self._edges):
            raise InputError("a fence polygon has two corners in one place")
        if _crosses_itself(self._edges):
            raise InputError("a fence polygon's edges cross each other")
        if not self._inside(0.0, 0.0):
            raise InputError("the fence polygon does not hold the place where the guard is engaged")

    def _inside(self, x: float, y: float) -> bool:
        """By the number of edges that a ray to the east crosses."""
        crossed = (x < a + (y - b) / (d - b) * (c - a) for a, b, c, d in self._edges if (b > y) != (d > y))
        return sum(crossed) % 2 == 1

    def _rooms(self, x: float, y: float) -> list[Room]:
        """The nearest point of every edge, as seen from here: distance, and the way there."""
        found = []
        for a, b, c, d in self._edges:
            along = ((x - a) * (c - a) + (y - b) * (d - b)) / ((c - a) ** 2 + (d - b) ** 2)
            along = max(0.0, min(1.0, along))
            px, py = a + along * (c - a) - x, b + along * (d - b) - y
            distance = math.hypot(px, py)
            if distance < 1e-9:  # on the edge: its normal, out
                nx, ny = (d - b), -(c - a)
                size = math.hypot(nx, ny)
                nx, ny = nx / size, ny / size
                if self._inside(x + 1e-6 * nx, y + 1e-6 * ny):
                    nx, ny = -nx, -ny
                found.append(Room(0.0, nx, ny))
            else:
                found.append(Room(distance, px / distance, py / distance))
        return found

    def room(self, x: float, y: float) -> Room:
        """The nearest point of any edge."""
        distance, ox, oy = min(self._rooms(x, y))
        return Room(distance, ox, oy) if self._inside(x, y) else Room(-distance, -ox, -oy)

    def limit(self, east: float, north: float, x: float, y: float, stopping: Stopping) -> tuple[float, float]:
        """Every edge bounds the speed towards its nearest point, which never gets nearer sideways."""
        bounds = [(room.east, room.north, stopping.allowed(room.distance)) for room in self._rooms(x, y)]
        for _ in range(20):  # projections on one half-plane after another meet all of them, if anything does
            changed = False
            for ox, oy, allowed in bounds:
                excess = east * ox + north * oy - allowed
                if excess > 1e-9:
                    east, north, changed = east - excess * ox, north - excess * oy, True
            if not changed:
                return east, north
        fits = [
            allowed / (east * ox + north * oy) for ox, oy, allowed in bounds if east * ox + north * oy > 0.0
        ]
        share = max(0.0, min((1.0, *fits)))
        return share * east, share * north


def fence_for(config: GuardConfig) -> Fence:
    """The polygon where there is one, else the circle. Raises InputError for a polygon that is none."""
    return Polygon(config.polygon) if config.polygon else Circle(config.fence)


def _crosses_itself(edges: Sequence[tuple[float, float, float, float]]) -> bool:
    def side(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
        return (bx - ax) * (y - ay) - (by - ay) * (x - ax)

    for index, (a, b, c, d) in enumerate(edges):
        for e, f, g, h in edges[index + 2 : len(edges) - (index == 0)]:
            if (
                side(a, b, c, d, e, f) * side(a, b, c, d, g, h) <= 0.0
                and side(e, f, g, h, a, b) * side(e, f, g, h, c, d) <= 0.0
            ):
                return True
    return False
