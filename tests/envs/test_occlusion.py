"""Occlusion: mirrored pairs whose hidden frames are the same, so that only a memory tells where to turn."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import CameraSpec, Image, VelocityCommand
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.occlusion import HIDDEN_BY, Occlusion
from navstack.envs.tasks.passage import Passage
from navstack.envs.worlds.spec import load_world, world_names
from navstack.errors import InputError
from navstack.policy import OnnxPolicy
from navstack.results import SUCCESS

FOCAL = 48.0 / math.tan(math.radians(40.0))


class Seeker:
    """Flies to red from each frame by itself; without red it turns to one side, at the largest rate.

    With `remembers`, it turns to the side on which it saw red last: one bit of memory.
    """

    def __init__(self, side: float, remembers: bool = False) -> None:
        self.side, self.remembers = side, remembers

    def step(self, image: Image) -> VelocityCommand:
        red, green, blue = np.moveaxis(image.astype(int), -1, 0)
        mask = ((red > 2 * green) & (red > 2 * blue)).astype(np.uint8)
        _, _, parts, centers = cv2.connectedComponentsWithStats(mask)
        largest = 1 + int(np.argmax(parts[1:, cv2.CC_STAT_AREA])) if len(parts) > 1 else 0
        if largest == 0 or parts[largest, cv2.CC_STAT_AREA] < 6:
            return VelocityCommand(0.0, 0.0, 0.0, 1.2 * self.side)
        bearing = math.atan((47.5 - centers[largest][0]) / FOCAL)
        if self.remembers:
            self.side = math.copysign(1.0, bearing)
        distance = FOCAL * 1.1 / parts[largest, cv2.CC_STAT_HEIGHT]
        # Slowly near the target: under the speed that counts as standing still.
        forward = 0.8 if distance > 4.6 else 0.25 if distance > 3.3 else 0.0
        return VelocityCommand(forward, 0.0, 0.0, 1.6 * bearing)


class FrameByFrame:
    """The policy that ships, its memory cleared before every frame."""

    def __init__(self) -> None:
        self.policy = OnnxPolicy.load("fly-to-target")

    def step(self, image: Image) -> VelocityCommand:
        self.policy.reset()
        return self.policy.step(image, 0.05)


def wins(world: str, hidden_by: str, seeds: range, make_pilot) -> dict[int, bool]:
    """Which flights of the seeds a pilot of frames wins."""
    environment = NavigationEnv(task="Occlusion", world=world, purpose="evaluate", hidden_by=hidden_by)
    won = {}
    for seed in seeds:
        pilot = make_pilot()
        observation, info = environment.reset(seed=seed)
        while "outcome" not in info:
            observation, *_, info = environment.step(pilot.step(observation["image"]).as_array())
        won[seed] = info["outcome"] == SUCCESS
    environment.close()
    return won


def turn_to_target(info, environment) -> float:
    """rad, from the vehicle's heading."""
    (x, y, _), (tx, ty, _) = info["state"].position_enu, environment.simulator.judge.target_enu
    return math.remainder(math.atan2(ty - y, tx - x) - info["state"].yaw, math.tau)


@pytest.mark.parametrize("hidden_by", HIDDEN_BY)
def test_while_hidden_the_frames_of_a_pair_are_the_same_and_the_right_turns_opposite(hidden_by):
    pair = [NavigationEnv(task="Occlusion", world="meadow", hidden_by=hidden_by) for _ in range(2)]
    (first, info), (second, other) = (each.reset(seed=8 + k) for k, each in enumerate(pair))
    release = pair[0].simulator.scenario.plan.release
    times, same = [], []
    action = np.array((0.4, -0.2, 0.1, 0.7), np.float32)  # whatever it is, until the release it is not flown
    while info["state"].time < release + 0.3:
        times.append(info["state"].time)
        same.append(np.array_equal(first["image"], second["image"]))
        first, *_, info = pair[0].step(action)
        second, *_, other = pair[1].step(action)
    differ = [time for time, equal in zip(times, same, strict=True) if not equal]
    assert len(differ) > 10  # seen before
    assert 0.5 <= release - max(differ) <= 3.0
    assert info["state"] == other["state"]
    turns = turn_to_target(info, pair[0]), turn_to_target(other, pair[1])
    assert turns[0] * turns[1] < 0.0
    assert info["expert_command"][3] * other["expert_command"][3] < 0.0
    for each in pair:
        each.close()


@pytest.mark.parametrize(
    "hidden_by", ["gust", *(pytest.param(each, marks=pytest.mark.slow) for each in ("standing", "passing"))]
)
def test_who_sees_single_frames_wins_one_of_a_pair_and_who_remembers_a_side_both(hidden_by):
    pair = range(8, 10)
    by_frames = wins("meadow", hidden_by, pair, lambda: Seeker(1.0))
    assert sum(by_frames.values()) == 1
    assert all(wins("meadow", hidden_by, pair, lambda: Seeker(1.0, remembers=True)).values())


@pytest.mark.slow
@pytest.mark.parametrize("hidden_by", HIDDEN_BY)
@pytest.mark.parametrize("pilot", [lambda: Seeker(1.0), lambda: Seeker(-1.0), FrameByFrame])
def test_without_memory_at_most_one_of_a_pair_is_won(hidden_by, pilot):
    seeds = range(100, 120)
    won = wins("park", hidden_by, seeds, pilot)
    assert not any(won[seed] and won[seed + 1] for seed in seeds[::2])


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), difficulty=st.floats(0.0, 1.0))
def test_every_passage_obeys_the_published_numbers(seed, difficulty):
    scenario = Occlusion().scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)
    passage, (tx, ty, _) = scenario.plan, scenario.target_enu
    assert isinstance(passage, Passage)
    distance = math.hypot(tx - passage.x, ty - passage.y)
    bearing = math.remainder(math.atan2(ty - passage.y, tx - passage.x) - passage.heading, math.tau)
    assert 3.3 <= distance <= 4.5
    assert math.radians(72.0) - 1e-9 <= abs(bearing) <= math.radians(84.0)
    assert abs(bearing) - math.atan(0.75 / distance) > CameraSpec().horizontal_fov / 2.0
    assert 1.5 <= scenario.position_enu[2] <= 2.1
    assert scenario.start_distance <= 12.0  # so that the target shows at least 4 pixels
    assert scenario.time_limit == pytest.approx(passage.release + 5.6)
    if passage.hidden_by != "gust":
        assert passage.release - passage.met <= 2.5 + 1e-9


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirroring_twice_is_the_same_flight_and_once_moves_the_target_only(seed):
    task = Occlusion()
    scenario = task.scenario(load_world("meadow"), np.random.default_rng(seed), 1.0)
    other = task.mirrored(scenario)
    again = task.mirrored(other)
    assert again.target_enu == pytest.approx(scenario.target_enu)
    assert (other.layout.corridors, other.layout.props) == (scenario.layout.corridors, scenario.layout.props)
    assert (other.position_enu, other.yaw, other.time_limit) == (
        scenario.position_enu, scenario.yaw, scenario.time_limit,
    )  # fmt: skip
    assert math.dist(other.target_enu, scenario.target_enu) > 6.0


def test_to_learn_a_flight_may_begin_anywhere_without_being_carried():
    environment = NavigationEnv(task="Occlusion", camera=False)
    _, info = environment.reset(seed=1, options={"anywhere": True})
    while "outcome" not in info:
        *_, info = environment.step(info["expert_command"])
    assert info["outcome"] == SUCCESS
    environment.close()


def test_an_unknown_way_of_hiding_is_refused():
    with pytest.raises(InputError, match="hidden_by is 'gusts'; did you mean 'gust'"):
        NavigationEnv(task="Occlusion", hidden_by="gusts")


@pytest.mark.parametrize("world", ["studio", "autumn"])
def test_the_expert_wins(world):
    assert expert_success(world, 3, 71_100, Conditions(env="Occlusion")).count(SUCCESS) == 3


@pytest.mark.slow
@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_in_every_library_world(world):
    outcomes = expert_success(world, episodes=4, seed=71_000, conditions=Conditions(env="Occlusion"))
    assert outcomes.count(SUCCESS) == 4
