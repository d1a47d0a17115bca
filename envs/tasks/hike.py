"""Hike: reach a target, turn to the stated side, find the next, until all are reached in order.

Every number below belongs to the id `navstack/Hike-v0`.

`targets` (2 to 8, by default 3) are laid out as `layout` says:

- `straight`: one behind the other, 5.5 to 6.5 m apart;
- `triangular` (the default): on the corners of a triangle with sides of 7 to 9 m, as often as needed;
- `circular`: on an octagon with sides of 6 to 7 m.

The next target is always on the stated `side` of the one that was reached (`left`, the default, or `right`);
on a straight hike it is the side on which a passed target is passed. The first is 5.5 to 8 m away at the
start, within 30 degrees of the camera's axis. A target is reached when the vehicle has been inside
FlyToTarget's bands (distance 2.2 to 4.2 m, height 1.2 to 2.4 m, bearing 15 degrees, speed 0.3 m/s) for 1 s.
Passed targets disappear, and on a triangle stand there again when it is their turn; with `keep_passed=True`
they stay.

Success: all targets reached in order. `fraction`, the share of them that was reached, is reported. Contact
with anything fails; so does the end of the time limit: 10 s for each target, and the way between them at
0.5 m/s.

`difficulty` from 0 to 1 widens the start: at 0 the first target is 5.5 m away and dead ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from navstack.contract import Vector3, VelocityCommand
from navstack.envs.experts.approach import STAND_OFF
from navstack.envs.experts.hike import HikeExpert
from navstack.envs.stage import Stage
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import (
    ANYWHERE_BEARING,
    ANYWHERE_DISTANCE,
    ANYWHERE_HEIGHT,
    StationJudge,
)
from navstack.envs.tasks.parameters import check_choice, check_range
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Corridor, Layout, TargetPlacement
from navstack.envs.worlds.spec import WorldSpec
from navstack.results import SUCCESS, TIMEOUT

SPACING = {"straight": (5.5, 6.5), "triangular": (7.0, 9.0), "circular": (6.0, 7.0)}  # m
TURNS = {"straight": 0.0, "triangular": math.radians(120.0), "circular": math.radians(45.0)}
PLACES = {"straight": 8, "triangular": 3, "circular": 8}  # until the first one comes again
SIDES = {"left": 1.0, "right": -1.0}
TARGETS = (2, 8)
START_DISTANCE = (5.5, 8.0)  # m
START_HEIGHT = (1.2, 3.0)  # m
START_BEARING = math.radians(30.0)
REACHED_TIME = 1.0  # s
SPARE_TIME = 10.0  # s for each target
WAY_RADIUS = 2.6  # m kept free around the ways
SCATTER_RADIUS = 26.0  # m, or `SCATTER_MARGIN` beyond the outermost target
SCATTER_MARGIN = 14.0  # m

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class HikePlan:
    """What is reached in which order."""

    places: tuple[int, ...]  # the number of the target among the layout's, for each leg
    legs: tuple[float, ...]  # m, the way to each
    first: int = 0  # leg with which the flight begins


@dataclass(slots=True)
class HikeJudge:
    """Won when every target has been reached in order."""

    scenario: Scenario
    plan: HikePlan
    keep_passed: bool
    leg: int
    _station: StationJudge = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the first leg."""
        self._begin()

    def _begin(self) -> None:
        target = self.scenario.layout.targets[self.plan.places[self.leg]]
        self._station = StationJudge(_center(target), math.inf, hold=REACHED_TIME)

    @property
    def target_enu(self) -> Vector3:
        """Centre of the target to reach now; of the last one when all are."""
        return self._station.target_enu

    @property
    def shown(self) -> tuple[bool, ...]:
        """For each of the layout's targets, whether it stands there now."""
        places, leg = self.plan.places, min(self.leg, len(self.plan.places) - 1)
        return tuple(
            self.keep_passed or number == places[leg] or places.index(number) >= leg
            for number in range(len(self.scenario.layout.targets))
        )

    @property
    def standing(self) -> tuple[Vector3, ...]:
        """Centres of the other targets that stand there."""
        centers = zip(map(_center, self.scenario.layout.targets), self.shown, strict=True)
        return tuple(center for center, shown in centers if shown and center != self.target_enu)

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """Judge one physics step."""
        if self._station.update(time, position, velocity, yaw) == SUCCESS:
            self.leg += 1
            if self.leg == len(self.plan.places):
                return SUCCESS
            self._begin()
        return TIMEOUT if time >= self.scenario.time_limit else None

    def remaining(self, position: Vector3) -> float:
        """Metres to the target to reach now, and from there to the last."""
        return self._station.remaining(position) + sum(self.plan.legs[self.leg + 1 :])

    def report(self) -> dict[str, float]:
        """The share of the targets that was reached."""
        return {"fraction": self.leg / len(self.plan.places)}


@dataclass(slots=True)
class HikeScenery:
    """Hides what was passed and shows what is next."""

    judge: HikeJudge
    _shown: tuple[bool, ...] = ()

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Set each target that changes."""
        shown = self.judge.shown
        if shown != self._shown:
            before = self._shown or (True,) * len(shown)
            for body, target, was, now in zip(
                stage.targets, self.judge.scenario.layout.targets, before, shown, strict=True
            ):
                if now and not was:
                    stage.move(body, target.x, target.y, target.yaw)
                elif was and not now:
                    stage.hide(body)
            self._shown = shown
        return None


@dataclass(frozen=True, slots=True)
class Hike:
    """From target to target."""

    layout: str = "triangular"
    targets: int = 3
    keep_passed: bool = False
    side: str = "left"
    name = "Hike"
    mirrors = False  # the next target is on the stated side

    def __post_init__(self) -> None:
        """Raise InputError where a parameter is out of range."""
        check_choice("Hike's layout", self.layout, tuple(SPACING))
        check_choice("Hike's side", self.side, tuple(SIDES))
        check_range("Hike's targets", self.targets, *TARGETS)

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw layout and start. Raises InputError where the world can place no target."""
        kind, size = sample_target(spec, rng)
        direction = rng.uniform(-math.pi, math.pi)  # from the start to the first target
        points = self._points(direction, float(rng.uniform(*SPACING[self.layout])))
        shift = rng.uniform(-3.0, 3.0, 2).tolist()
        middle = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
        points = [(x - middle[0] + shift[0], y - middle[1] + shift[1]) for x, y in points]
        first = int(rng.integers(self.targets)) if anywhere else 0
        stations, legs = _stations(points, direction)
        if anywhere:
            aim = _angle(stations[first - 1], points[first]) if first else direction
            distance = ANYWHERE_DISTANCE[0] + (START_DISTANCE[1] - ANYWHERE_DISTANCE[0]) * rng.uniform() ** 2
            height, bearing = rng.uniform(*ANYWHERE_HEIGHT), rng.uniform(-ANYWHERE_BEARING, ANYWHERE_BEARING)
        else:
            aim, least, most = direction, *START_DISTANCE
            distance = least + difficulty * rng.uniform(0.0, most - least)
            height, bearing = (
                rng.uniform(*START_HEIGHT),
                difficulty * rng.uniform(-START_BEARING, START_BEARING),
            )
        start = _before(points[first], aim, distance)
        unique = points[: PLACES[self.layout]]
        back = _before(points[first], aim, max(distance, START_DISTANCE[0]))
        targets = tuple(TargetPlacement(kind, x, y, rng.uniform(-math.pi, math.pi), size) for x, y in unique)
        places = tuple(k % PLACES[self.layout] for k in range(self.targets))
        legs = [distance if k == first else leg for k, leg in enumerate(legs)]
        plan = HikePlan(places, tuple(legs), first)
        return Scenario(
            layout=_layout(targets, points, stations, (back, points[first])),
            position_enu=(*start, float(height)),
            yaw=math.remainder(aim - bearing, math.tau),
            target_enu=_center(targets[places[first]]),
            start_distance=float(distance),
            time_limit=SPARE_TIME * self.targets + sum(plan.legs) / 0.5,
            plan=plan,
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides, who demonstrates, and what makes targets disappear."""
        plan = scenario.plan
        assert isinstance(plan, HikePlan)
        judge = HikeJudge(scenario, plan, self.keep_passed, plan.first)
        return Roles(judge, HikeExpert(judge, SIDES[self.side]), HikeScenery(judge))

    def _points(self, direction: float, spacing: float) -> list[Point]:
        """Where the target of each leg stands, the first one at the origin."""
        points, turn = [(0.0, 0.0)], SIDES[self.side] * TURNS[self.layout]
        for k in range(1, self.targets):
            x, y = points[-1]
            points.append(
                (x + spacing * math.cos(direction + k * turn), y + spacing * math.sin(direction + k * turn))
            )
        return points


def _center(target: TargetPlacement) -> Vector3:
    return (target.x, target.y, target.size / 2.0)


def _angle(start: Point, end: Point) -> float:
    return math.atan2(end[1] - start[1], end[0] - start[0])


def _before(point: Point, direction: float, distance: float) -> Point:
    """The place from which the point is seen in this direction at this distance."""
    return point[0] - distance * math.cos(direction), point[1] - distance * math.sin(direction)


def _stations(points: list[Point], direction: float) -> tuple[list[Point], list[float]]:
    """Where a pilot stands in front of each target, and the way (m) to each from the station before."""
    stations, legs = [_before(points[0], direction, STAND_OFF)], [STAND_OFF]
    for point in points[1:]:
        legs.append(math.dist(stations[-1], point))
        stations.append(_before(point, _angle(stations[-1], point), STAND_OFF))
    return stations, legs


def _layout(
    targets: tuple[TargetPlacement, ...],
    points: list[Point],
    stations: list[Point],
    start: tuple[Point, Point],
) -> Layout:
    """Free ways from station to target to station."""
    ways = [start, *pairwise(points)]
    ways += list(zip(stations[:-1], points[1:], strict=True))
    corridors = dict.fromkeys(Corridor(*a, *b, WAY_RADIUS) for a, b in ways)
    xs, ys = zip(*points, *stations, *start, strict=True)
    center = (min(xs) + max(xs)) / 2.0, (min(ys) + max(ys)) / 2.0
    reach = max(max(xs) - min(xs), max(ys) - min(ys)) / 2.0
    return Layout(
        targets=targets,
        corridors=tuple(corridors),
        center=center,
        radius=max(SCATTER_RADIUS, reach + SCATTER_MARGIN),
        least_room=reach + 2.5,
    )
