"""Distractors: FlyToTarget among objects that share the target's colour, shape or size.

Every number below belongs to the id `navstack/Distractors-v0`.

The target is of the marker class: a chair, barrel, cone, box or ball, saturated red, about a metre high. 3 to
6 distractors stand about, at least one of each sort:

- `colour`: red as the target, but of another kind: a pole 2.2 to 3.5 m high, a bench 0.9 to 1.1 m high and
  1.8 to 2.2 m wide, a fence 1 to 1.3 m high and 2 to 3 m wide or a wall 1 to 2 m high and 1.5 to 2.5 m wide;
- `shape`: of a marker's kind and size, but of another colour (25 or more degrees of hue from red);
- `size`: 0.9 to 1.3 m high, but a bush, rock, crate or hay bale of such another colour.

They stand 4 to 12 m from the start, within 36 degrees of the camera's axis, at least 3 m from the target and
2 m from one another, and leave the way of 1.6 m around the straight line to the target free. Starts, success,
contact and time limit as in FlyToTarget: 3 m are so much that no place from which the target is won is one
from which a distractor would be.

`difficulty` from 0 to 1 widens the start as in FlyToTarget; at 0 there is a single distractor, and the number
grows up to the above at 1 (the default).
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace

import numpy as np

from navstack.contract import Vector3
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import CORRIDOR_RADIUS, FlyToTarget, StationJudge
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Prop
from navstack.envs.worlds.objects import ASPECT, Size
from navstack.envs.worlds.placing import distance_to_segment
from navstack.envs.worlds.spec import WorldSpec
from navstack.errors import InputError

NUMBER = (3, 6)
SORTS = ("colour", "shape", "size")
AWAY = (4.0, 12.0)  # m from the start
BEARING = math.radians(36.0)  # to either side of the camera's axis
FROM_TARGET, APART = 3.0, 2.0  # m
RED_KINDS = {"pole": (2.2, 3.5), "bench": (0.9, 1.1), "fence": (1.0, 1.3), "wall": (1.0, 2.0)}  # heights, m
RED_WIDTHS = {"pole": (0.25, 0.4), "bench": (1.8, 2.2), "fence": (2.0, 3.0), "wall": (1.5, 2.5)}  # m
SIZED_KINDS = ("bush", "rock", "crate", "hay_bale")
SIZED_HEIGHT = (0.9, 1.3)  # m
OTHER_HUE = (25.0 / 360.0, 335.0 / 360.0)
PLACES, DRAWS = 200, 50  # tries


@dataclass(frozen=True, slots=True)
class Distractors:
    """Fly up to the target and to nothing that is like it."""

    name = "Distractors"
    mirrors = True

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw start, target and what distracts. Raises InputError where the world can place no target."""
        for _ in range(DRAWS):
            scenario = FlyToTarget().scenario(spec, rng, difficulty, anywhere)
            most = 1 + round(difficulty * (int(rng.integers(NUMBER[0], NUMBER[1] + 1)) - 1))
            sorts = [*rng.permutation(SORTS).tolist(), *rng.choice(SORTS, NUMBER[1]).tolist()][:most]
            props: list[Prop] = []
            for sort in sorts:
                props += _placed(_drawn(sort, spec, rng), scenario, props, rng)
            if len(props) == most:
                return replace(scenario, layout=replace(scenario.layout, props=tuple(props)))
        raise InputError(f"no place for {most} distractors was found in world '{spec.name}'")

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight."""
        target = scenario.target_enu
        return Roles(StationJudge(target, scenario.time_limit), ApproachExpert(target))


def _drawn(sort: str, spec: WorldSpec, rng: np.random.Generator) -> Prop:
    """A distractor of a sort, not yet in its place."""
    if sort == "colour":
        kind = str(rng.choice(list(RED_KINDS)))
        height, width = (float(rng.uniform(*range_[kind])) for range_ in (RED_KINDS, RED_WIDTHS))
        color = _color(float(rng.uniform(-12.0, 12.0)) / 360.0 % 1.0, rng)
    else:
        color = _color(float(rng.uniform(*OTHER_HUE)), rng)
        if sort == "shape":
            kind, height = sample_target(spec, rng)
        else:
            kind, height = str(rng.choice(SIZED_KINDS)), float(rng.uniform(*SIZED_HEIGHT))
        width = height * float(rng.uniform(*ASPECT[kind]))
    return Prop(kind, 0.0, 0.0, float(rng.uniform(-math.pi, math.pi)), height, width, color)


def _color(hue: float, rng: np.random.Generator) -> Vector3:
    """As saturated and bright as a target."""
    return colorsys.hsv_to_rgb(hue, float(rng.uniform(0.82, 1.0)), float(rng.uniform(0.65, 0.95)))


def _placed(prop: Prop, scenario: Scenario, others: list[Prop], rng: np.random.Generator) -> list[Prop]:
    """The distractor in a free place, or none."""
    (x, y, _), (tx, ty, _), (way, *_) = scenario.position_enu, scenario.target_enu, scenario.layout.corridors
    radius = Size(prop.height, prop.width).radius
    for _ in range(PLACES):
        away, angle = rng.uniform(*AWAY), scenario.yaw + rng.uniform(-BEARING, BEARING)
        px, py = x + away * math.cos(angle), y + away * math.sin(angle)
        if math.hypot(px - tx, py - ty) < FROM_TARGET + radius:
            continue
        if distance_to_segment(px, py, way.x0, way.y0, way.x1, way.y1) < CORRIDOR_RADIUS + radius:
            continue
        gaps = [math.hypot(px - o.x, py - o.y) - Size(o.height, o.width).radius - radius for o in others]
        if min(gaps, default=math.inf) >= APART:
            return [replace(prop, x=px, y=py)]
    return []
