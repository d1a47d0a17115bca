"""FirstSeen: of things that look exactly alike, the one that was alone in view during the first second.

Every number below belongs to the id `navstack/FirstSeen-v0`.

For the first second the vehicle hovers, whatever it is commanded, and one thing of the marker class is in
view: the target. Then 1 to 3 others of its kind, size and colour appear, in view as well, and the vehicle is
free. Nothing in the later pictures tells which was first: the target is chosen among all of them by lot, so a
policy without memory wins one flight in two at most. All stand 5.5 to 12 m from the start, within 35 degrees
of the camera's axis, at least 3 m from one another, none within 1.2 m of the straight way to another. Start
height, success, contact and time limit as in FlyToTarget; 3 m are so much that no place from which one is won
is one from which another would be.

`difficulty` from 0 to 1: at 0 a single other appears; at 1 (the default) up to three.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace

import numpy as np

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.stage import Stage
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import (
    ANYWHERE_HEIGHT,
    CORRIDOR_RADIUS,
    SCATTER_RADIUS,
    SPARE_TIME,
    START_BEARING,
    START_DISTANCE,
    START_HEIGHT,
    StationJudge,
)
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Corridor, Layout, Prop
from navstack.envs.worlds.objects import ASPECT, Size
from navstack.envs.worlds.placing import distance_to_segment
from navstack.envs.worlds.spec import WorldSpec

ALONE = 1.0  # s
OTHERS = (1, 3)
APART = 3.0  # m between any two
ASIDE = 1.2  # m between the straight way to one and the edge of another
PLACES = 60  # tries


@dataclass(slots=True)
class Appearance:
    """Shows nothing but the target for the first second and holds the vehicle; then shows the others."""

    target: int  # its number among the props
    others: tuple[Prop, ...]
    _shown: bool = False

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Set the stage for the physics step that ends at `time` s."""
        things = [thing for number, thing in enumerate(stage.props) if number != self.target]
        if time == 0.0:
            for thing in things:
                stage.hide(thing)
        elif time >= ALONE and not self._shown:
            self._shown = True
            for thing, prop in zip(things, self.others, strict=True):
                stage.move(thing, prop.x, prop.y, prop.yaw)
        return None if self._shown else ZERO_COMMAND


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """Fly up to what was seen first and to nothing that looks like it."""

    name = "FirstSeen"
    mirrors = True

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw a start, the places and which is the target; `anywhere` begins at any height, to learn."""
        kind, size = sample_target(spec, rng)
        width = size * float(rng.uniform(*ASPECT[kind]))
        hue, saturation, value = rng.uniform((-12.0 / 360.0, 0.82, 0.65), (12.0 / 360.0, 1.0, 0.95)).tolist()
        look = Prop(kind, 0.0, 0.0, 0.0, size, width, colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
        others = 1 + round(difficulty * (int(rng.integers(OTHERS[0], OTHERS[1] + 1)) - 1))
        x, y = rng.uniform(-3.0, 3.0, 2).tolist()
        yaw = float(rng.uniform(-math.pi, math.pi))
        props = _draw_places(look, 1 + others, x, y, yaw, rng)
        target = props[rng.integers(len(props))]
        distance = math.hypot(target.x - x, target.y - y)
        layout = Layout(
            targets=(),
            corridors=tuple(Corridor(x, y, p.x, p.y, CORRIDOR_RADIUS) for p in props),
            center=(
                (x + sum(p.x for p in props) / len(props)) / 2.0,
                (y + sum(p.y for p in props) / len(props)) / 2.0,
            ),
            radius=SCATTER_RADIUS,
            props=props,
        )
        return Scenario(
            layout=layout,
            position_enu=(x, y, float(rng.uniform(*(ANYWHERE_HEIGHT if anywhere else START_HEIGHT)))),
            yaw=yaw,
            target_enu=(target.x, target.y, size / 2.0),
            start_distance=distance,
            time_limit=SPARE_TIME + distance / 0.5,
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight, and what appears."""
        goal, props = scenario.target_enu, scenario.layout.props
        target = next(number for number, prop in enumerate(props) if (prop.x, prop.y) == goal[:2])
        others = props[:target] + props[target + 1 :]
        return Roles(
            StationJudge(goal, scenario.time_limit), ApproachExpert(goal), Appearance(target, others)
        )


def _draw_places(
    look: Prop, number: int, x: float, y: float, yaw: float, rng: np.random.Generator
) -> tuple[Prop, ...]:
    """So many of one look around the camera's axis, drawn anew from the first where one finds no place."""
    clear = ASIDE + Size(look.height, look.width).radius
    while True:
        props: list[Prop] = []
        for _ in range(PLACES):
            away, angle = rng.uniform(*START_DISTANCE), yaw + rng.uniform(-START_BEARING, START_BEARING)
            px, py = float(x + away * math.cos(angle)), float(y + away * math.sin(angle))
            if all(
                math.hypot(px - p.x, py - p.y) >= APART
                and distance_to_segment(px, py, x, y, p.x, p.y) >= clear
                and distance_to_segment(p.x, p.y, x, y, px, py) >= clear
                for p in props
            ):
                props.append(replace(look, x=px, y=py, yaw=float(rng.uniform(-math.pi, math.pi))))
            if len(props) == number:
                return tuple(props)
