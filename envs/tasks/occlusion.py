"""Occlusion: on the way the target is lost from view; remember its side, turn there, fly up to it.

Every number below belongs to the id `navstack/Occlusion-v0`.

At first the vehicle is carried, and commands are not flown. When it is set free it is at rest, 1.5 to 2.1 m
high, and the target stands 3.4 to 4.6 m away, 72 to 84 degrees to the left or to the right: out of view since
0.5 to 3 s. What hid it is drawn, or chosen by `hidden_by`:

- `standing`: the target is in view, 22 to 30 degrees to one side; the vehicle is carried past it, straight on
  at 2 m/s, between two screens that stand beside the way.
- `passing`: the same, but the screens come towards the vehicle at 1 to 1.8 m/s and pass it.
- `gust`: a gust swings the vehicle to one side, to the other and back; the target is in view on one of them.

Seeds 2k and 2k + 1 are a mirrored pair: everything is the same in both but the side on which the target
stands, so that while it is hidden the frames are the same bit for bit and the right turns are opposite. The
vehicle is not its own pilot's before, so neither its place nor its speed tells the side. The time limit is
`FREE_TIME` after it is set free: enough to turn to the right side, not enough to search on the other.

Success as in FlyToTarget. `difficulty` from 0 to 1 widens the range of bearings: 72 degrees at 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.experts.search import SearchExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import CORRIDOR_RADIUS, FlyToTarget, StationJudge
from navstack.envs.tasks.parameters import check_choice
from navstack.envs.tasks.passage import (
    OUT_OF_VIEW,
    SCREEN_ASIDE,
    SCREEN_SIZE,
    SEEN,
    SETTLED,
    Passage,
    PassageScenery,
)
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Corridor, Layout, Prop, TargetPlacement
from navstack.envs.worlds.spec import WorldSpec

HIDDEN_BY = ("standing", "passing", "gust")
DISTANCE = (3.3, 4.5)  # m to the target when the vehicle is set free
BEARING = (math.radians(72.0), math.radians(84.0))
HEIGHT = (1.5, 2.1)  # m
FIRST_BEARING = (math.radians(22.0), math.radians(30.0))  # at the start of a way
SCREENED = (0.1, 0.7)  # s that the target is behind a screen before it would be out of view anyway
LONGEST = 2.5  # s from there on until the vehicle is set free, at most
SCREEN_SPEED = (1.0, 1.8)  # m/s
GUST_WAIT = (0.1, 0.5)  # s
FREE_TIME = 5.6  # s
WAY_RADIUS = 2.6  # m kept free around the way
SIGHT_RADIUS = 1.0  # m kept free around the lines on which the target is seen
SCATTER_RADIUS = 26.0  # m
TURN = 1.1  # rad/s of the pilot towards a target that it does not see


@dataclass(frozen=True, slots=True)
class Occlusion:
    """Remember on which side the target was when it was lost from view."""

    hidden_by: str = "any"
    name = "Occlusion"
    mirrors = True

    def __post_init__(self) -> None:
        """Raise InputError where `hidden_by` is unknown."""
        check_choice("Occlusion's hidden_by", self.hidden_by, ("any", *HIDDEN_BY))

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw passage and target. Raises InputError where the world can place no target."""
        if anywhere:
            return FlyToTarget().scenario(spec, rng, difficulty, anywhere)
        kind, size = sample_target(spec, rng)
        drawn = HIDDEN_BY[rng.integers(len(HIDDEN_BY))]
        distance = float(rng.uniform(*DISTANCE))
        bearing = BEARING[0] + difficulty * rng.uniform(0.0, BEARING[1] - BEARING[0])
        ahead, aside = distance * math.cos(bearing), distance * math.sin(bearing)
        passage = _draw_passage(drawn if self.hidden_by == "any" else self.hidden_by, ahead, aside, rng)
        side = float(rng.choice((-1.0, 1.0)))
        x, y = passage.to_enu(ahead, side * aside)
        target = TargetPlacement(kind, x, y, rng.uniform(-math.pi, math.pi), size)
        start = passage.to_enu(-passage.length, 0.0)
        return Scenario(
            layout=_layout(passage, target, ahead, aside, rng),
            position_enu=(*start, passage.height),
            yaw=passage.heading,
            target_enu=(x, y, size / 2.0),
            start_distance=math.hypot(x - start[0], y - start[1]),
            time_limit=passage.release + FREE_TIME,
            plan=passage,
        )

    def mirrored(self, scenario: Scenario) -> Scenario:
        """The same with the target on the other side."""
        passage = scenario.plan
        if not isinstance(passage, Passage):  # begun anywhere, to learn: no pair
            return scenario
        (target,) = scenario.layout.targets
        c, s = math.cos(2.0 * passage.heading), math.sin(2.0 * passage.heading)
        east, north = target.x - passage.x, target.y - passage.y
        x, y = passage.x + c * east + s * north, passage.y + s * east - c * north
        other = replace(target, x=x, y=y, yaw=math.remainder(2.0 * passage.heading - target.yaw, math.tau))
        return replace(
            scenario,
            layout=replace(scenario.layout, targets=(other,)),
            target_enu=(x, y, scenario.target_enu[2]),
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides, who demonstrates and what hides the target."""
        target, passage = scenario.target_enu, scenario.plan
        judge = StationJudge(target, scenario.time_limit)
        if not isinstance(passage, Passage):
            return Roles(judge, ApproachExpert(target))
        return Roles(judge, SearchExpert(target, turn=TURN, side=0.0), PassageScenery(passage))


def _draw_passage(hidden_by: str, ahead: float, aside: float, rng: np.random.Generator) -> Passage:
    """A way or a swing on which a target `ahead` and `aside` (m) of its end is lost from view."""
    x, y = rng.uniform(-3.0, 3.0, 2).tolist()
    heading, height = rng.uniform(-math.pi, math.pi), float(rng.uniform(*HEIGHT))
    first, screened = rng.uniform(*FIRST_BEARING), float(rng.uniform(*SCREENED))
    speed, wait, sign = rng.uniform(*SCREEN_SPEED), rng.uniform(*GUST_WAIT), float(rng.choice((-1.0, 1.0)))
    if hidden_by == "gust":
        swing = sign * (math.atan2(aside, ahead) - 0.8 * SEEN)
        return Passage(hidden_by, x, y, heading, height, 0.0, swing, wait)
    length = aside / math.tan(first) - ahead
    way = Passage(hidden_by, x, y, heading, height, length, 0.0, SETTLED)
    speed = speed if hidden_by == "passing" else 0.0
    # The target's line of sight crosses the screens' plane at `crossing`; they cover it from `begin` on until
    # the target is out of view by itself.
    out = _time_at(way, ahead - aside / math.tan(OUT_OF_VIEW))
    begin = max(out - screened, way.release - LONGEST)
    share, margin = SCREEN_ASIDE / aside, 0.35
    crossing = [place + share * (ahead - place) for place in (way.along(begin)[0], way.along(out)[0])]
    near = crossing[0] - margin  # where the near end is at `begin`
    far = crossing[1] + margin + speed * (out - begin)  # where the far end is then
    return replace(way, screen=(near, far), screen_speed=speed, met=begin)


def _time_at(passage: Passage, place: float) -> float:
    """When the vehicle is at a place of the way, by bisection."""
    low, high = 0.0, passage.moving
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if passage.along(middle)[0] < place else (low, middle)
    return low


def _layout(
    passage: Passage, target: TargetPlacement, ahead: float, aside: float, rng: np.random.Generator
) -> Layout:
    """Free ways and lines of sight on both sides, and the screens; the same for both of a pair."""
    start, end = passage.to_enu(-passage.length, 0.0), passage.to_enu(0.0, 0.0)
    places = [passage.to_enu(ahead, side * aside) for side in (1.0, -1.0)]
    corridors = [Corridor(*start, *end, WAY_RADIUS)]
    corridors += [Corridor(*end, *place, CORRIDOR_RADIUS) for place in places]
    if passage.length:
        corridors += [Corridor(*start, *place, SIGHT_RADIUS) for place in places]
    return Layout(
        targets=(target,),
        corridors=tuple(corridors),
        center=passage.to_enu(-0.5 * passage.length, 0.0),
        radius=SCATTER_RADIUS,
        props=_screens(passage, rng),
        least_room=0.5 * passage.length + aside + 2.0,
    )


def _screens(passage: Passage, rng: np.random.Generator) -> tuple[Prop, ...]:
    """The two screens of a way, where they are at its start."""
    if not passage.length:
        return ()
    hue, depth = rng.uniform(0.15, 0.85), rng.uniform(0.2, 0.5)
    red, green, blue = (0.45 + 0.3 * depth * math.cos(math.tau * (hue - k / 3.0)) for k in range(3))
    first, last = passage.screens(0.0)
    height, _ = SCREEN_SIZE
    props = []
    for side in (1.0, -1.0):
        x, y = passage.to_enu(0.5 * (first + last), side * SCREEN_ASIDE)
        props.append(Prop("wall", x, y, passage.heading, height, last - first, (red, green, blue), "stripes"))
    return tuple(props)
