"""FirstSeen: one thing is alone in view, then others that look the same: later pictures do not tell which."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import CameraSpec
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.simulator import PHYSICS_HZ, Simulator
from navstack.envs.tasks.base import Scenario
from navstack.envs.tasks.first_seen import FirstSeen
from navstack.envs.vehicle import DEFAULT_AIRFRAME, load_airframe
from navstack.envs.worlds.objects import Size
from navstack.envs.worlds.placing import distance_to_segment
from navstack.envs.worlds.spec import WorldSpec, is_target_red, load_world
from navstack.results import SUCCESS
from navstack.timing import FrameTiming

WORLDS = {name: load_world(name) for name in ("meadow",)}


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), difficulty=st.floats(0.0, 1.0))
def test_every_draw_obeys_the_published_numbers(seed: int, difficulty: float) -> None:
    scenario = FirstSeen().scenario(WORLDS["meadow"], np.random.default_rng(seed), difficulty)
    (x, y, z), props = scenario.position_enu, scenario.layout.props
    assert 2 <= len(props) <= 2 + round(2 * difficulty)
    assert 1.2 <= z <= 3.0
    assert scenario.target_enu[:2] in [(prop.x, prop.y) for prop in props]
    assert len({replace(prop, x=0.0, y=0.0, yaw=0.0) for prop in props}) == 1
    assert is_target_red(props[0].color)
    radius = Size(props[0].height, props[0].width).radius
    for one in props:
        assert 5.5 <= math.hypot(one.x - x, one.y - y) <= 12.0
        bearing = math.remainder(math.atan2(one.y - y, one.x - x) - scenario.yaw, math.tau)
        assert abs(bearing) <= math.radians(35.0) + 1e-9
        for other in props:
            if other is not one:
                assert math.hypot(one.x - other.x, one.y - other.y) >= 3.0
                assert distance_to_segment(one.x, one.y, x, y, other.x, other.y) >= 1.2 + radius


class Swapped(FirstSeen):
    """The same scenario with another of its things as the target."""

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Swap the target with the thing that follows it."""
        scenario = FirstSeen().scenario(spec, rng, difficulty, anywhere)
        props, target = scenario.layout.props, scenario.target_enu
        places = [(prop.x, prop.y) for prop in props]
        other = props[(places.index(target[:2]) + 1) % len(props)]
        return replace(scenario, target_enu=(other.x, other.y, target[2]))


def pictures(task: FirstSeen, seed: int) -> list[np.ndarray]:
    """Of the start and, under a fixed command, of 1, 1.5 and 3 s later."""
    simulator = Simulator(
        WORLDS["meadow"], load_airframe(DEFAULT_AIRFRAME), task, CameraSpec(), FrameTiming()
    )
    simulator.reset(np.random.default_rng(seed), 1.0)
    simulator.command = ApproachExpert((40.0, 0.0, 0.5)).command(simulator.state())
    taken = [simulator.capture()]
    for step in (PHYSICS_HZ - 1, PHYSICS_HZ, PHYSICS_HZ + 120, 3 * PHYSICS_HZ):
        simulator.advance(step)
        taken.append(simulator.capture())
    simulator.close()
    return taken


def reds(image: np.ndarray) -> int:
    values = image.astype(int)
    return int(((values[..., 0] > 2 * values[..., 1]) & (values[..., 0] > 2 * values[..., 2])).sum())


@pytest.mark.parametrize("seed", [1, 2])
def test_after_the_first_second_the_pictures_do_not_tell_which_was_first(seed: int) -> None:
    one, other = pictures(FirstSeen(), seed), pictures(Swapped(), seed)
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[1], other[1])
    for mine, theirs in zip(one[2:], other[2:], strict=True):
        assert np.array_equal(mine, theirs)
    assert 0 < reds(one[0]) < reds(one[2])
    assert abs(reds(one[1]) - reds(one[0])) < 0.2 * reds(one[0]) + 4  # it hovers, whatever it is commanded


def test_the_expert_wins_in_every_library_world(world: str) -> None:
    assert expert_success(world, 2, 75_000, Conditions(env="FirstSeen")) == 2 * [SUCCESS]


def test_who_flies_to_another_and_stays_there_does_not_win() -> None:
    environment = NavigationEnv(task="FirstSeen", world="meadow", camera=False)
    for seed in range(3):
        _, info = environment.reset(seed=seed)
        scenario = environment.simulator.scenario
        prop = next(p for p in scenario.layout.props if (p.x, p.y) != scenario.target_enu[:2])
        pilot = ApproachExpert((prop.x, prop.y, 0.5))
        while "outcome" not in info:
            *_, info = environment.step(pilot.command(info["state"]).as_array())
        assert info["outcome"] != SUCCESS
    environment.close()


def test_the_lot_falls_on_all_alike() -> None:
    """Nearer or farther, left or right: without memory, no rule beats one in so many."""
    won = {"nearest": 0.0, "farthest": 0.0, "middle": 0.0, "left": 0.0}
    flights, chance = 150, 0.0
    for seed in range(flights):
        scenario = FirstSeen().scenario(WORLDS["meadow"], np.random.default_rng(seed), 1.0)
        (x, y, _), target = scenario.position_enu, scenario.target_enu[:2]
        places = [(prop.x, prop.y) for prop in scenario.layout.props]
        away = [math.dist(place, (x, y)) for place in places]
        aside = [math.remainder(math.atan2(b - y, a - x) - scenario.yaw, math.tau) for a, b in places]
        chance += 1.0 / len(places)
        for rule, chosen in (
            ("nearest", np.argmin(away)), ("farthest", np.argmax(away)),
            ("middle", np.argmin(np.abs(aside))), ("left", np.argmax(aside)),
        ):  # fmt: skip
            won[rule] += places[int(chosen)] == target
    for wins in won.values():
        assert abs(wins - chance) < 3.5 * math.sqrt(chance * (1.0 - chance / flights))
