"""Clutter: reach the target through a forest or a room whose obstacles stand in the way.

Every number below belongs to the id `navstack/Clutter-v0`.

Start: 8 to 12 m from the target, 1.2 to 3 m high, at rest, the target within 35 degrees of the camera's axis
and at least 40% of its width in sight. Obstacles stand within 5 m of the straight way from start to target,
`density` of them per square metre, at random with at least 1.5 m free between any two, around the start and
around the target; the first of them stands in the way, so that who flies straight ahead meets it. Outdoors
they are trunks of 0.3 to 0.6 m, 5 to 9 m high, with the bark of the world's trees where it has any; in worlds
with a room they are crates of 0.6 to 0.9 m, 3 to 3.5 m high. Nothing else of the world stands there.

Success, contact and time limit as in FlyToTarget.

`density` is 0.01 to 0.08 per square metre; 1/25, the default, is the forest of Loquercio et al., "Learning
high-speed flight in the wild", Science Robotics 6(59), 2021. The denser end is where 1.5 m can be kept free.

`difficulty` from 0 to 1: at 0 every flight begins 8 m away with the target dead ahead and a single obstacle,
the one in the way; at 1 (the default) over the whole range above, with `density`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from navstack.envs.experts.clutter import ClutterExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import (
    ANYWHERE_BEARING,
    ANYWHERE_HEIGHT,
    SCATTER_RADIUS,
    SPARE_TIME,
    START_BEARING,
    START_HEIGHT,
    StationJudge,
)
from navstack.envs.tasks.parameters import check_range
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Corridor, Layout, Placed, TargetPlacement
from navstack.envs.worlds.objects import Size
from navstack.envs.worlds.spec import ObjectSpec, WorldSpec
from navstack.errors import InputError

START_DISTANCE = (8.0, 12.0)  # m
DENSITY = (0.01, 0.08)  # per m^2
REGION = 5.0  # m to each side of the way, and beyond its ends
FREE = 1.5  # m between any two obstacles, and around start and target
IN_SIGHT = 0.4  # share of the target's width
IN_THE_WAY = (0.25, 0.7)  # shares of the way between which the first obstacle stands
MEETS = 0.05  # m: the straight way passes an obstacle's edge by no more
TRUNK_WIDTH, TRUNK_HEIGHT = (0.3, 0.6), (5.0, 9.0)  # m
CRATE_WIDTH, CRATE_HEIGHT = (0.6, 0.9), (3.0, 3.5)  # m
TARGET_RADIUS = 0.6  # of its height, as the world counts it
NARROWEST_TARGET = 0.33  # half its width, of its height
SIGHT_RAYS = 41
TRIES, LAYOUTS = 1000, 50
ANYWHERE_FREE = 0.5  # m; for learning only, as is the next
ANYWHERE_DISTANCE = 1.5  # m

_TRUNK = ObjectSpec(
    kind="pole", count=(0, 0), height=TRUNK_HEIGHT, textures=["bark"],
    colors=[(0.35, 0.28, 0.2), (0.5, 0.46, 0.4), (0.25, 0.2, 0.15)],
)  # fmt: skip
_CRATE = ObjectSpec(
    kind="crate", count=(0, 0), height=CRATE_HEIGHT, textures=["wood", "plain"],
    colors=[(0.68, 0.52, 0.34), (0.55, 0.44, 0.32), (0.3, 0.4, 0.46)],
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clutter:
    """Fly up to the target among obstacles and stay in front of it."""

    name = "Clutter"
    mirrors = True

    density: float = 1.0 / 25.0  # obstacles per m^2

    def __post_init__(self) -> None:
        """Refuse a density out of range."""
        check_range("Clutter's density", self.density, *DENSITY)

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw start, target and what stands between. Raises InputError where the world has no target."""
        kind, size = sample_target(spec, rng)
        distance = START_DISTANCE[0] + difficulty * rng.uniform(0.0, START_DISTANCE[1] - START_DISTANCE[0])
        direction = rng.uniform(-math.pi, math.pi)  # from start to target
        east, north = rng.uniform(-3.0, 3.0, 2).tolist()
        target = TargetPlacement(kind, east, north, rng.uniform(-math.pi, math.pi), size)
        x, y = east - distance * math.cos(direction), north - distance * math.sin(direction)
        region = Corridor(x, y, east, north, REGION)
        wanted = max(1, round(difficulty * self.density * region_area(distance)))
        obstacles = _draw_obstacles(obstacle_kind(spec), region, size, wanted, rng)
        turned = rng.uniform(-1.0, 1.0) * (ANYWHERE_BEARING if anywhere else difficulty * START_BEARING)
        height = rng.uniform(*(ANYWHERE_HEIGHT if anywhere else START_HEIGHT))
        center = ((x + east) / 2.0, (y + north) / 2.0)
        if anywhere:
            x, y = _free_place(region, obstacles, rng)
            distance, direction = math.hypot(east - x, north - y), math.atan2(north - y, east - x)
        return Scenario(
            layout=Layout((target,), (region,), center, SCATTER_RADIUS, obstacles=obstacles),
            position_enu=(x, y, height),
            yaw=math.remainder(direction - turned, math.tau),
            target_enu=(east, north, size / 2.0),
            start_distance=distance,
            time_limit=SPARE_TIME + distance / 0.5,
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight."""
        trunks = np.array([(p.x, p.y, p.size.radius) for p in scenario.layout.obstacles])
        radius = TARGET_RADIUS * scenario.layout.targets[0].size
        return Roles(
            StationJudge(scenario.target_enu, scenario.time_limit),
            ClutterExpert(scenario.target_enu, radius, trunks),
        )


def region_area(distance: float) -> float:
    """Area (m^2) within REGION of a straight way of that length (m)."""
    return 2.0 * REGION * distance + math.pi * REGION**2


def obstacle_kind(spec: WorldSpec) -> ObjectSpec:
    """What stands in the way in this world: crates in a room, else trunks with the bark of its trees."""
    like, ours = (("crate", "shelf"), _CRATE) if spec.room else (("tree", "conifer", "pole"), _TRUNK)
    for kind in spec.objects:
        if kind.kind in like:
            return ours.model_copy(
                update={"colors": kind.colors, "textures": kind.textures, "texture_files": kind.texture_files}
            )
    return ours


def _draw_obstacles(
    kind: ObjectSpec, region: Corridor, target_size: float, wanted: int, rng: np.random.Generator
) -> tuple[Placed, ...]:
    """Where they stand; drawn anew from the first where the last finds no place."""
    for _ in range(LAYOUTS):
        placed: list[Placed] = []
        for _ in range(TRIES):
            width = float(rng.uniform(*(CRATE_WIDTH if kind.kind == "crate" else TRUNK_WIDTH)))
            size = Size(float(rng.uniform(*kind.height)), width)
            x, y = _in_region(region, rng) if placed else _in_the_way(region, size.radius, rng)
            one = Placed(kind, x, y, float(rng.uniform(-math.pi, math.pi)), size)
            if _fits(one, placed, region, target_size):
                placed.append(one)
            if len(placed) == wanted:
                return tuple(placed)
    raise InputError(f"{wanted} obstacles do not fit with {FREE} m between them; lower the density")


def _in_region(region: Corridor, rng: np.random.Generator) -> tuple[float, float]:
    """A place (m, ENU), evenly anywhere in the region."""
    dx, dy = region.x1 - region.x0, region.y1 - region.y0
    length = math.hypot(dx, dy)
    while True:
        along = rng.uniform(-region.radius, length + region.radius)
        aside = rng.uniform(-region.radius, region.radius)
        if math.hypot(along - min(length, max(0.0, along)), aside) <= region.radius:
            return (
                region.x0 + (along * dx - aside * dy) / length,
                region.y0 + (along * dy + aside * dx) / length,
            )


def _in_the_way(region: Corridor, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """A place (m, ENU) where an obstacle meets who flies straight."""
    dx, dy = region.x1 - region.x0, region.y1 - region.y0
    length = math.hypot(dx, dy)
    along, aside = rng.uniform(*IN_THE_WAY), rng.uniform(-1.0, 1.0) * (radius + MEETS) / length
    return region.x0 + along * dx - aside * dy, region.y0 + along * dy + aside * dx


def _fits(one: Placed, placed: list[Placed], region: Corridor, target_size: float) -> bool:
    others = [(p.x, p.y, p.size.radius) for p in placed]
    others += [(region.x0, region.y0, 0.0), (region.x1, region.y1, TARGET_RADIUS * target_size)]
    if any(math.hypot(one.x - x, one.y - y) < one.size.radius + radius + FREE for x, y, radius in others):
        return False
    return share_in_sight((*placed, one), region, target_size) >= IN_SIGHT


def share_in_sight(obstacles: Sequence[Placed], region: Corridor, target_size: float) -> float:
    """Share of the target's width that the obstacles leave in sight from the start."""
    dx, dy = region.x1 - region.x0, region.y1 - region.y0
    length = math.hypot(dx, dy)
    half = NARROWEST_TARGET * target_size
    rays = np.linspace(-half, half, SIGHT_RAYS)  # m aside from the target's middle, at its distance
    seen = np.ones(SIGHT_RAYS, dtype=bool)
    for one in obstacles:
        along = ((one.x - region.x0) * dx + (one.y - region.y0) * dy) / length
        aside = ((one.y - region.y0) * dx - (one.x - region.x0) * dy) / length
        if 0.0 < along < length:
            gap = np.abs(aside * length - rays * along) / np.hypot(length, rays)
            seen &= gap > one.size.radius
    return float(seen.mean())


def _free_place(
    region: Corridor, obstacles: Sequence[Placed], rng: np.random.Generator
) -> tuple[float, float]:
    """A place (m, ENU) in the region where a flight may get to."""
    while True:
        x, y = _in_region(region, rng)
        gaps = [math.hypot(x - p.x, y - p.y) - p.size.radius - ANYWHERE_FREE for p in obstacles]
        if min(gaps) > 0.0 and math.hypot(x - region.x1, y - region.y1) > ANYWHERE_DISTANCE:
            return x, y
