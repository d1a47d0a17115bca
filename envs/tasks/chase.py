"""Chase: stay behind a target that moves, at a distance, on the line of sight, for a minute.

Every number below belongs to the id `navstack/Chase-v0`.

The target moves along a smooth random path: its speed goes smoothly from one draw between 0.5 and 2 m/s to
the next every 2.5 to 5 s, its curvature from one draw to the next every 2 to 5 s with a radius of 4 m at
least, and within 12 m of the middle. It does not turn with its path: where it heads is not visible. Obstacles
stand at least 4 m beside the path. At the start it is 3 to 5.5 m away, within 20 degrees of the camera's
axis, and the vehicle is 1.2 to 3 m high, at rest.

The flight lasts 60 s. Success: at least 90% of the time after the first 5 s inside the band, which is a
horizontal distance between 2.2 and 5 m to the target's centre and a bearing within 15 degrees. `fraction`,
the share of that time inside the band, is reported. Contact with anything fails.

`difficulty` from 0 to 1 widens the range of speeds: at 0 the target moves at 0.5 m/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from navstack.contract import Vector3, VelocityCommand
from navstack.envs.experts.chase import KEEP, ChaseExpert
from navstack.envs.stage import Stage
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import ANYWHERE_BEARING, ANYWHERE_HEIGHT
from navstack.envs.worlds.build import sample_target
from navstack.envs.worlds.layout import Corridor, Layout, TargetPlacement
from navstack.envs.worlds.spec import WorldSpec
from navstack.results import SUCCESS, TIMEOUT

SECONDS = 60.0  # s of flight
SETTLING = 5.0  # s that do not count
SHARE = 0.9  # of the rest inside the band
BAND_DISTANCE = (2.2, 5.0)  # m
BAND_BEARING = math.radians(15.0)
SPEED = (0.5, 2.0)  # m/s
SPEED_EVERY = (2.5, 5.0)  # s
CURVE_EVERY = (2.0, 5.0)  # s
LARGEST_CURVATURE = 0.25  # 1/m
ARENA = 10.0  # m around the middle, in which the path turns back
START_DISTANCE = (3.0, 5.5)  # m
START_HEIGHT = (1.2, 3.0)  # m
START_BEARING = math.radians(20.0)
START_COURSE = math.radians(100.0)  # of the path's first direction, from the line of sight
ANYWHERE_DISTANCE = (1.5, 7.0)  # m; for learning only
PATH_RADIUS = 4.2  # m kept free around its corridor, which cuts corners by up to 0.13 m
SCATTER_RADIUS = 26.0  # m
STEP = 0.05  # s between the path's points
EVERY = 20  # points between the corners of its corridor


@dataclass(frozen=True, slots=True)
class Path:
    """Where the target is, point by point."""

    xs: tuple[float, ...]  # m, ENU, one every STEP s
    ys: tuple[float, ...]

    def at(self, time: float) -> tuple[float, float, float, float]:
        """Place (m, ENU) and velocity (m/s, ENU): x, y, vx, vy; at rest after the last point."""
        steps = max(0.0, time / STEP)
        k = int(steps)
        if k >= len(self.xs) - 1:
            return self.xs[-1], self.ys[-1], 0.0, 0.0
        share = steps - k
        dx, dy = self.xs[k + 1] - self.xs[k], self.ys[k + 1] - self.ys[k]
        return self.xs[k] + share * dx, self.ys[k] + share * dy, dx / STEP, dy / STEP


@dataclass(slots=True)
class ChaseJudge:
    """Won when enough of the time was spent inside the band."""

    path: Path
    height: float  # m, of the target's centre
    time: float = 0.0
    counted: int = 0  # physics steps after the settling
    inside: int = 0  # of those, in the band

    @property
    def target_enu(self) -> Vector3:
        """Centre of the target now."""
        x, y, _, _ = self.path.at(self.time)
        return x, y, self.height

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """Judge one physics step."""
        self.time = time
        if time > SETTLING:
            x, y, _, _ = self.path.at(time)
            east, north = x - position[0], y - position[1]
            self.counted += 1
            self.inside += (
                BAND_DISTANCE[0] <= math.hypot(east, north) <= BAND_DISTANCE[1]
                and abs(math.remainder(math.atan2(north, east) - yaw, math.tau)) <= BAND_BEARING
            )
        if time < SECONDS - 1e-9:
            return None
        return SUCCESS if self.inside >= SHARE * self.counted else TIMEOUT

    def remaining(self, position: Vector3) -> float:
        """Metres from the distance to keep."""
        x, y, _ = self.target_enu
        return abs(math.hypot(x - position[0], y - position[1]) - KEEP)

    def report(self) -> dict[str, float]:
        """The share of the time that counts inside the band, so far."""
        return {"fraction": self.inside / max(1, self.counted)}


@dataclass(frozen=True, slots=True)
class ChaseScenery:
    """Moves the target."""

    path: Path
    yaw: float  # rad, of the target: it does not turn

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Put the target where it is now."""
        x, y, _, _ = self.path.at(time)
        stage.move(stage.targets[0], x, y, self.yaw)
        return None


@dataclass(frozen=True, slots=True)
class Chase:
    """Stay behind a target that moves."""

    name = "Chase"
    mirrors = True

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw path and start. Raises InputError where the world can place no target."""
        kind, size = sample_target(spec, rng)
        line = rng.uniform(-math.pi, math.pi)  # from the vehicle to the target
        course = line + rng.uniform(-START_COURSE, START_COURSE)
        path = draw_path(rng, course, SPEED[0], SPEED[0] + difficulty * (SPEED[1] - SPEED[0]))
        if anywhere:
            distance = rng.uniform(*ANYWHERE_DISTANCE)
            height, bearing = rng.uniform(*ANYWHERE_HEIGHT), rng.uniform(-ANYWHERE_BEARING, ANYWHERE_BEARING)
        else:
            distance = rng.uniform(*START_DISTANCE)
            height, bearing = rng.uniform(*START_HEIGHT), rng.uniform(-START_BEARING, START_BEARING)
        first = path.xs[0], path.ys[0]
        start = first[0] - distance * math.cos(line), first[1] - distance * math.sin(line)
        corners = [*list(zip(path.xs, path.ys, strict=True))[::EVERY], (path.xs[-1], path.ys[-1])]
        ways = zip([start, *corners[:-1]], corners, strict=True)
        return Scenario(
            layout=Layout(
                targets=(TargetPlacement(kind, *first, rng.uniform(-math.pi, math.pi), size),),
                corridors=tuple(Corridor(*a, *b, PATH_RADIUS) for a, b in ways),
                center=(0.0, 0.0),
                radius=SCATTER_RADIUS,
                least_room=ARENA + 8.0,
            ),
            position_enu=(*start, float(height)),
            yaw=math.remainder(line - bearing, math.tau),
            target_enu=(*first, size / 2.0),
            start_distance=float(distance),
            time_limit=SECONDS,
            plan=path,
        )

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides, who demonstrates and what moves."""
        path, (target,) = scenario.plan, scenario.layout.targets
        assert isinstance(path, Path)
        judge = ChaseJudge(path, scenario.target_enu[2])
        return Roles(judge, ChaseExpert(path), ChaseScenery(path, target.yaw))


def draw_path(rng: np.random.Generator, course: float, slowest: float, fastest: float) -> Path:
    """A smooth random path that begins in this direction (rad) and stays near the middle."""
    number = round(SECONDS / STEP) + 1
    speeds = _wander(rng, number, SPEED_EVERY, slowest, fastest)
    curves = _wander(rng, number, CURVE_EVERY, -LARGEST_CURVATURE, LARGEST_CURVATURE)
    x, y = rng.uniform(-4.0, 4.0, 2).tolist()
    xs, ys, curvature = [x], [y], 0.0
    for speed, wanted in zip(speeds[:-1], curves[:-1], strict=True):
        inward = math.remainder(math.atan2(-y, -x) - course, math.tau)
        # The further out, and the less towards the middle it heads, the more the path turns there.
        home = min(1.0, max(0.0, (math.hypot(x, y) - 0.45 * ARENA) / (0.2 * ARENA)))
        home *= min(1.0, abs(inward) / 1.2)
        target = wanted + home * (math.copysign(LARGEST_CURVATURE, inward) - wanted)
        curvature += (target - curvature) * STEP / 0.4
        course += curvature * speed * STEP
        x, y = x + speed * STEP * math.cos(course), y + speed * STEP * math.sin(course)
        xs.append(x)
        ys.append(y)
    return Path(tuple(xs), tuple(ys))


def _wander(
    rng: np.random.Generator, number: int, every: tuple[float, float], low: float, high: float
) -> list[float]:
    """Values at the path's points that go smoothly from one draw to the next."""
    times, values = [0.0], [rng.uniform(low, high)]
    while times[-1] < number * STEP:
        times.append(times[-1] + rng.uniform(*every))
        values.append(rng.uniform(low, high))
    at = np.arange(number) * STEP
    k = np.searchsorted(times, at, side="right") - 1
    knots, heights = np.array(times), np.array(values)
    share = 0.5 - 0.5 * np.cos(math.pi * (at - knots[k]) / (knots[k + 1] - knots[k]))
    smooth: list[float] = (heights[k] + share * (heights[k + 1] - heights[k])).tolist()
    return smooth
