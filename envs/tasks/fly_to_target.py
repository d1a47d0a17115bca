"""FlyToTarget: see the target, fly up to it, stop in front of it and keep looking at it.

Every number below belongs to the id `navstack/FlyToTarget-v0`.

Start: 5.5 to 12 m from the target, 1.2 to 3 m high, at rest, the target within 35 degrees of the camera's
axis. Obstacles stand beside the way and never on it. Success: horizontal distance to the target's centre
between 2.2 and 4.2 m, height above the ground between 1.2 and 2.4 m, bearing within 15 degrees, speed under
0.3 m/s, all for 2.0 s without a break. Contact with anything fails; so does the end of the time limit,
10 s + start distance / (0.5 m/s).

`distance`, from 1 (the default) to 3, multiplies the start distance: the range test of Chahine et al. 2023. A
target then shows as few as 4 / `distance` pixels, so targets grow by `scale`, which is 1 at 1, 1.82 at 2 and
2.74 at 3: every start shows at least 4 pixels of the target's height. A single camera knows no scale: it
sees a larger target from further away and higher up as the same picture, so the bands of distance and of
height grow by the same factor. `scale_targets=False` leaves targets and bands as they are, to show where the
resolution ends.

`difficulty` from 0 to 1 widens the start: at 0 every flight begins at the shortest distance with the target
dead ahead, at 1 (the default) over the whole range above.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from navstack.contract import CameraSpec, Vector3
from navstack.envs.experts.approach import HEIGHT, STAND_OFF, ApproachExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.parameters import check_range
from navstack.envs.worlds.build import TARGET_HEIGHT, TARGET_VARIATION, sample_target
from navstack.envs.worlds.layout import Corridor, Layout, TargetPlacement
from navstack.envs.worlds.spec import WorldSpec
from navstack.results import SUCCESS, TIMEOUT

START_DISTANCE = (5.5, 12.0)  # m
START_HEIGHT = (1.2, 3.0)  # m
START_BEARING = math.radians(35.0)
SUCCESS_DISTANCE = (2.2, 4.2)  # m
SUCCESS_HEIGHT = (1.2, 2.4)  # m
SUCCESS_BEARING = math.radians(15.0)
SUCCESS_SPEED = 0.3  # m/s
SUCCESS_TIME = 2.0  # s
SPARE_TIME = 10.0  # s
ANYWHERE_DISTANCE = (1.3, 12.0)  # m; these three are for learning only
ANYWHERE_HEIGHT = (0.7, 3.3)  # m
ANYWHERE_BEARING = math.radians(38.0)
CORRIDOR_RADIUS = 1.6  # m kept free around the straight way from start to target
SCATTER_RADIUS = 26.0  # m around the middle of the way, in which objects stand
SCATTER_MORE = 6.0  # m of that radius more for each trained range of distances more
LARGEST_DISTANCE = 3.0
LEAST_PIXELS = 4.0  # of the target's height at the start


@dataclass(slots=True)
class StationJudge:
    """Won when the vehicle has stood still in front of the target for long enough."""

    target_enu: Vector3  # m
    time_limit: float  # s
    scale: float = 1.0  # of the target, and with it of the bands of distance and height
    hold: float = SUCCESS_TIME  # s
    inside_since: float | None = None  # s

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """Judge one physics step."""
        if not self._inside(position, velocity, yaw):
            self.inside_since = None
        elif self.inside_since is None:
            self.inside_since = time
        elif time - self.inside_since >= self.hold - 1e-9:
            return SUCCESS
        return TIMEOUT if time >= self.time_limit else None

    def remaining(self, position: Vector3) -> float:
        """Metres outside the middle of the success set."""
        east, north = self.target_enu[0] - position[0], self.target_enu[1] - position[1]
        return abs(math.hypot(east, north) - self.scale * sum(SUCCESS_DISTANCE) / 2.0) + abs(
            position[2] - self.scale * sum(SUCCESS_HEIGHT) / 2.0
        )

    def report(self) -> dict[str, float]:
        """Nothing besides the outcome."""
        return {}

    def _inside(self, position: Vector3, velocity: Vector3, yaw: float) -> bool:
        vx, vy, vz = velocity
        if vx * vx + vy * vy + vz * vz >= SUCCESS_SPEED**2:
            return False
        if not SUCCESS_HEIGHT[0] <= position[2] / self.scale <= SUCCESS_HEIGHT[1]:
            return False
        east, north = self.target_enu[0] - position[0], self.target_enu[1] - position[1]
        if not SUCCESS_DISTANCE[0] <= math.hypot(east, north) / self.scale <= SUCCESS_DISTANCE[1]:
            return False
        return abs(math.remainder(math.atan2(north, east) - yaw, math.tau)) <= SUCCESS_BEARING


def approach_scenario(
    spec: WorldSpec,
    rng: np.random.Generator,
    difficulty: float,
    bearing: Callable[[], float],
    spare: float,
    anywhere: bool,
    distances: float = 1.0,
    scale: float = 1.0,
) -> Scenario:
    """Draw a target and a start with a free way to it.

    Args:
        spec: the world.
        rng: drawn from.
        difficulty: 0 to 1, widens the range of start distances.
        bearing: draws the target's bearing (rad) from the vehicle's heading.
        spare: s that the time limit gives beyond the way at 0.5 m/s.
        anywhere: begin at any distance and height that a flight may get to, more often near the target.
        distances: factor of the start distance.
        scale: factor of the target's size.

    Raises:
        InputError: where the world can place no target.
    """
    kind, size = sample_target(spec, rng)
    size *= scale
    least, most = distances * START_DISTANCE[0], distances * START_DISTANCE[1]
    if anywhere:
        nearest, farthest = scale * ANYWHERE_DISTANCE[0], distances * ANYWHERE_DISTANCE[1]
        distance = nearest + (farthest - nearest) * rng.uniform() ** 2
        height = rng.uniform(*ANYWHERE_HEIGHT)
    else:
        distance = least + difficulty * rng.uniform(0.0, most - least)
        height = rng.uniform(*START_HEIGHT)
    turned = bearing()
    direction = rng.uniform(-math.pi, math.pi)  # from start to target
    east, north = rng.uniform(-3.0, 3.0, 2).tolist()
    target = TargetPlacement(kind, east, north, rng.uniform(-math.pi, math.pi), size)
    x = target.x - distance * math.cos(direction)
    y = target.y - distance * math.sin(direction)
    room = max(distance, scale * START_DISTANCE[0])  # who begins too close has to back off
    back_x, back_y = target.x - room * math.cos(direction), target.y - room * math.sin(direction)
    layout = Layout(
        targets=(target,),
        corridors=(Corridor(back_x, back_y, target.x, target.y, scale * CORRIDOR_RADIUS),),
        center=((x + target.x) / 2.0, (y + target.y) / 2.0),
        radius=SCATTER_RADIUS + SCATTER_MORE * (distances - 1.0),
        least_room=distance / 2.0 + 2.0 * scale,
    )
    return Scenario(
        layout=layout,
        position_enu=(x, y, height),
        yaw=math.remainder(direction - turned, math.tau),
        target_enu=(target.x, target.y, size / 2.0),
        start_distance=distance,
        time_limit=spare + distance / 0.5,
    )


@dataclass(frozen=True, slots=True)
class FlyToTarget:
    """Fly up to the target and stay in front of it."""

    distance: float = 1.0
    scale_targets: bool = True
    name = "FlyToTarget"
    mirrors = True

    def __post_init__(self) -> None:
        """Raise InputError where `distance` is out of range."""
        check_range("FlyToTarget's distance", self.distance, 1.0, LARGEST_DISTANCE)

    @property
    def scale(self) -> float:
        """Of the targets: the smallest shows `LEAST_PIXELS` at the farthest start."""
        if not self.scale_targets:
            return 1.0
        smallest = (1.0 - TARGET_VARIATION) * min(TARGET_HEIGHT.values())
        farthest, camera = self.distance * START_DISTANCE[1], CameraSpec()
        focal = 0.5 * camera.width / math.tan(0.5 * camera.horizontal_fov)
        return max(1.0, LEAST_PIXELS * farthest / (focal * smallest))

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw start and target. Raises InputError where the world can place no target."""

        def bearing() -> float:
            widest = ANYWHERE_BEARING if anywhere else difficulty * START_BEARING
            return float(rng.uniform(-widest, widest))

        return approach_scenario(
            spec, rng, difficulty, bearing, SPARE_TIME, anywhere, self.distance, self.scale
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight."""
        target, scale = scenario.target_enu, self.scale
        return Roles(
            StationJudge(target, scenario.time_limit, scale),
            ApproachExpert(target, stand_off=scale * STAND_OFF, height=scale * HEIGHT),
        )
