"""Search: the target is somewhere outside the first view; turn, find it, fly up to it, stop in front of it.

Every number below belongs to the id `navstack/Search-v0`.

Start as in FlyToTarget, but with the target 55 to 180 degrees to one side of the camera's axis (the camera
sees 40 to each side, and the widest target at the shortest distance spans 8 to each side). Success as in
FlyToTarget. The time limit is 20 s + start distance / (0.5 m/s): a whole turn at 0.6 rad/s more.

`difficulty` from 0 to 1 widens the start: at 0 the target is 5.5 m away and 55 degrees to one side, at 1 (the
default) it is anywhere in the range above.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from navstack.envs.experts.search import SearchExpert
from navstack.envs.tasks.base import Roles, Scenario
from navstack.envs.tasks.fly_to_target import StationJudge, approach_scenario
from navstack.envs.worlds.spec import WorldSpec

START_BEARING = (math.radians(55.0), math.pi)  # to either side
SPARE_TIME = 20.0  # s


@dataclass(frozen=True, slots=True)
class Search:
    """Find the target, fly up to it and stay in front of it."""

    name = "Search"
    mirrors = False  # the first turn is to the left

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw start and target. Raises InputError where the world can place no target."""

        def bearing() -> float:
            if anywhere:
                return float(rng.uniform(-math.pi, math.pi))
            least, most = START_BEARING
            return float(rng.choice((-1.0, 1.0)) * (least + difficulty * rng.uniform(0.0, most - least)))

        return approach_scenario(spec, rng, difficulty, bearing, SPARE_TIME, anywhere)

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides and who demonstrates this flight."""
        target = scenario.target_enu
        return Roles(StationJudge(target, scenario.time_limit), SearchExpert(target))
