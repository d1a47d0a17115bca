"""Gates: fly through a course of gates, laid out at random, in order.

Every number below belongs to the id `navstack/Gates-v0`.

A gate is a saturated red square frame on two posts; its opening is 1.6 m wide and high, its bars are 0.15 m
thick, and the opening's middle is 1.4 to 2.2 m above the ground. `gates` of them (1 to 8, 4 by default) stand
4.5 to 5.5 m apart, at least 4 m from all others. From each to the next the course turns by up to 35 degrees,
and a gate faces between the way in and the way out, give or take 8 degrees. Start: 4.5 to 6 m from the first
gate, 1.2 to 2.4 m high, at rest, the gate's middle within 20 degrees of the camera's axis. 2 m beside the
course nothing else stands.

A gate is passed when the vehicle's middle crosses its plane inside the opening in the course's direction, and
only while it is the next in order: a crossing outside the opening, from behind or out of turn does not count,
and the gate remains the next. Success: all passed. Contact with anything fails; so does the end of the time
limit, 10 s + length of the course / (0.5 m/s). `fraction`, the share of the gates that were passed, is
reported. On slopes a gate's heights are above the ground below its middle, the vehicle's above that below
itself: the opening that counts leans with the ground, by 0.23 m at most at its edge in the library's worlds.

`difficulty` from 0 to 1 widens the layout: at 0 the gates stand in a straight line, 4.5 m apart and all at
the same height, the first dead ahead; at 1 (the default) over the whole range above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from navstack.contract import Vector3
from navstack.envs.experts.gates import Gate, GatesExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import SCATTER_RADIUS, SPARE_TIME
from navstack.envs.tasks.parameters import check_range
from navstack.envs.worlds.gates import OUTSIDE, gate_height
from navstack.envs.worlds.layout import Corridor, Layout, Prop
from navstack.envs.worlds.spec import WorldSpec
from navstack.results import SUCCESS, TIMEOUT

GATES = (1, 8)
SPACING = (4.5, 5.5)  # m
START_DISTANCE = (4.5, 6.0)  # m
APART = 4.0  # m between any two gates, and between any and the start
TURN = math.radians(35.0)
FACING = math.radians(8.0)
MIDDLE = (1.4, 2.2)  # m
START_HEIGHT = (1.2, 2.4)  # m
START_BEARING = math.radians(20.0)
FREE = 2.0  # m beside the course, and beyond its end
WALL = 2.5  # m between the course and a room's walls
ANYWHERE_ASIDE, ANYWHERE_BEARING = 1.5, math.radians(38.0)  # m and rad; for learning only
RED = (0.85, 0.05, 0.05)


@dataclass(slots=True)
class CourseJudge:
    """Counts the gates that are passed in order. Experts look here for the next."""

    gates: tuple[Gate, ...]
    time_limit: float  # s
    next: int = 0
    _last: Vector3 | None = field(default=None)  # m, where the vehicle was one physics step ago

    @property
    def target_enu(self) -> Vector3:
        """Middle of the next gate's opening; of the last when all are passed."""
        return self.gates[min(self.next, len(self.gates) - 1)].middle

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """Judge one physics step."""
        if self._last is not None and self.gates[self.next].passed(self._last, position):
            self.next += 1
            if self.next == len(self.gates):
                return SUCCESS
        self._last = position
        return TIMEOUT if time >= self.time_limit else None

    def remaining(self, position: Vector3) -> float:
        """Metres to the next gate and from there through the others."""
        if self.next == len(self.gates):
            return 0.0
        ahead = [gate.middle for gate in self.gates[self.next :]]
        return math.dist(position, ahead[0]) + sum(math.dist(a, b) for a, b in pairwise(ahead))

    def report(self) -> dict[str, float]:
        """The share of the gates that are passed."""
        return {"fraction": self.next / len(self.gates)}


@dataclass(frozen=True, slots=True)
class Gates:
    """Fly through all gates in order."""

    name = "Gates"
    mirrors = True

    gates: int = 4

    def __post_init__(self) -> None:
        """Refuse a number out of range."""
        check_range("Gates's gates", self.gates, *GATES)

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw a course and a start."""
        points = _draw_points(self.gates, rng, difficulty)
        props = tuple(_prop(gate) for gate in _draw_gates(points, rng, difficulty))
        gates = tuple(_gate(prop) for prop in props)
        half = 0.5 * np.ptp(points, axis=0)
        center = points.min(axis=0) + half
        first, start, height = 0, points[0], float(rng.uniform(*START_HEIGHT))
        bearing = float(rng.uniform(-1.0, 1.0)) * (
            ANYWHERE_BEARING if anywhere else difficulty * START_BEARING
        )
        if anywhere:
            first = int(rng.integers(self.gates))
            way = points[first + 1] - points[first]
            aside = rng.uniform(-ANYWHERE_ASIDE, ANYWHERE_ASIDE) / np.hypot(*way)
            start = points[first] + rng.uniform(0.1, 0.8) * way + aside * np.array((-way[1], way[0]))
        goal = gates[first].middle
        x, y = start.tolist()
        ahead = [(x, y, height), *(gate.middle for gate in gates[first:])]
        return Scenario(
            layout=Layout(
                targets=(),
                corridors=_corridors(points),
                center=(float(center[0]), float(center[1])),
                radius=max(SCATTER_RADIUS, float(half.max()) + 10.0),
                props=props,
                least_room=float(half.max()) + WALL,
            ),
            position_enu=(x, y, height),
            yaw=math.remainder(math.atan2(goal[1] - y, goal[0] - x) - bearing, math.tau),
            target_enu=goal,
            start_distance=math.hypot(goal[0] - x, goal[1] - y),
            time_limit=SPARE_TIME + sum(math.dist(a, b) for a, b in pairwise(ahead)) / 0.5,
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight."""
        gates = tuple(_gate(prop) for prop in scenario.layout.props)
        middles = [gate.middle for gate in gates]
        judge = CourseJudge(gates, scenario.time_limit, next=middles.index(scenario.target_enu))
        return Roles(judge, GatesExpert(judge))


def _draw_points(
    gates: int, rng: np.random.Generator, difficulty: float
) -> np.ndarray:  # (1 + gates, 2) m: start and gates
    while True:
        heading, points = rng.uniform(-math.pi, math.pi), [np.zeros(2)]
        for number in range(gates):
            low, high = SPACING if number else START_DISTANCE
            away = low + difficulty * rng.uniform(0.0, high - low)
            points.append(points[-1] + away * np.array((math.cos(heading), math.sin(heading))))
            heading += difficulty * rng.uniform(-TURN, TURN)
        found = np.array(points)
        apart = np.hypot(*(found[:, None] - found[None]).transpose(2, 0, 1))
        if apart[np.triu_indices(len(found), 1)].min() >= APART:
            return found + rng.uniform(-3.0, 3.0, 2)


def _draw_gates(points: np.ndarray, rng: np.random.Generator, difficulty: float) -> tuple[Gate, ...]:
    ways = np.diff(points, axis=0)
    ways /= np.hypot(*ways.T)[:, None]
    facing = ways + np.vstack((ways[1:], ways[-1:]))  # between the way in and the way out
    middle = sum(MIDDLE) / 2.0
    return tuple(
        Gate(
            middle=(
                float(x),
                float(y),
                middle + difficulty * float(rng.uniform(MIDDLE[0], MIDDLE[1]) - middle),
            ),
            yaw=math.atan2(north, east) + difficulty * float(rng.uniform(-FACING, FACING)),
        )
        for (x, y), (east, north) in zip(points[1:], facing, strict=True)
    )


def _corridors(points: np.ndarray) -> tuple[Corridor, ...]:
    last = points[-1] - points[-2]
    ends = [*points.tolist()[:-1], (points[-1] + FREE * last / np.hypot(*last)).tolist()]
    return tuple(Corridor(x0, y0, x1, y1, FREE) for (x0, y0), (x1, y1) in pairwise(ends))


def _prop(gate: Gate) -> Prop:
    x, y, middle = gate.middle
    return Prop("gate", x, y, gate.yaw, gate_height(middle), OUTSIDE, RED)


def _gate(prop: Prop) -> Gate:
    return Gate((prop.x, prop.y, prop.height - gate_height(0.0)), prop.yaw)
