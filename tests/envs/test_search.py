"""Search: the target is out of view at the start, and the pilot turns as one who does not know the way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import CameraSpec, VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.search import IN_VIEW, LOST, SearchExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.search import Search
from navstack.envs.worlds.spec import load_world, world_names
from navstack.results import SUCCESS


@given(seed=st.integers(0, 2**32 - 1), difficulty=st.floats(0.0, 1.0))
def test_every_start_obeys_the_published_numbers(seed: int, difficulty: float) -> None:
    scenario = Search().scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)
    (x, y, z), target = scenario.position_enu, scenario.target_enu
    distance = math.hypot(target[0] - x, target[1] - y)
    bearing = math.remainder(math.atan2(target[1] - y, target[0] - x) - scenario.yaw, math.tau)
    assert 5.5 - 1e-9 <= distance <= 12.0
    assert 1.2 <= z <= 3.0
    assert abs(bearing) >= math.radians(55.0) - 1e-9
    assert scenario.time_limit == pytest.approx(20.0 + distance / 0.5)
    # Out of view with all of its width, 1.3 m at most with a target as wide as it is high.
    assert abs(bearing) - math.atan(0.75 / distance) > CameraSpec().horizontal_fov / 2.0


def test_both_sides_are_drawn() -> None:
    signs = [
        math.copysign(1.0, math.remainder(math.atan2(s.target_enu[1] - s.position_enu[1],
                                                     s.target_enu[0] - s.position_enu[0]) - s.yaw, math.tau))
        for s in (Search().scenario(load_world("meadow"), np.random.default_rng(n), 1.0) for n in range(100))
    ]  # fmt: skip
    assert 30 < signs.count(1.0) < 70


def state(bearing: float) -> VehicleState:
    """8 m from a target at the origin of the world, with that bearing to it."""
    yaw = math.pi - bearing
    return VehicleState(
        0.0, (8.0, 0.0, 1.75), (0.0, 0.0, 0.0), (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)), (0.0,) * 3
    )


@pytest.mark.parametrize("bearing", [-3.0, -1.0, 1.0, 3.0])
def test_before_it_was_seen_it_turns_left_on_the_spot(bearing: float) -> None:
    command = SearchExpert((0.0, 0.0, 0.5)).command(state(bearing))
    assert command.yaw_rate > 0.5
    assert (command.forward, command.left) == (0.0, 0.0)
    assert command.up == pytest.approx(0.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_afterwards_it_turns_to_where_it_was_seen_last(side: float) -> None:
    expert = SearchExpert((0.0, 0.0, 0.5))
    expert.command(state(side * 0.5))
    for bearing in (-2.5, -1.2, 1.2, 2.5):
        assert expert.command(state(bearing)).yaw_rate == pytest.approx(side * expert.turn)


def test_the_command_has_no_jump_where_the_target_comes_into_view() -> None:
    bearings = np.linspace(LOST + 0.05, IN_VIEW - 0.05, 200)
    expert = SearchExpert((0.0, 0.0, 0.5))
    commands = np.array([expert.command(state(float(bearing))).as_array() for bearing in bearings])
    assert np.abs(np.diff(commands, axis=0)).max() < 0.05


@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_in_every_library_world(world: str) -> None:
    outcomes = expert_success(world, episodes=4, seed=71_000, conditions=Conditions(env="Search"))
    assert outcomes.count(SUCCESS) == 4


@pytest.mark.parametrize("pilot", ["zero", "random"])
def test_who_does_not_look_does_not_win(pilot: str) -> None:
    environment = NavigationEnv(task="Search", camera=False)
    rng, bound = np.random.default_rng(0), environment.limits.as_array()
    wins = 0
    for seed in range(20):
        _, info = environment.reset(seed=seed)
        while "outcome" not in info:
            action = np.zeros(4) if pilot == "zero" else rng.uniform(-bound, bound)
            *_, info = environment.step(action.astype(np.float32))
        wins += info["outcome"] == SUCCESS
    environment.close()
    assert wins == 0
