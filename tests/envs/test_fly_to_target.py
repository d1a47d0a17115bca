"""The rules of FlyToTarget-v0."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.approach import ApproachExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.fly_to_target import FlyToTarget, StationJudge
from navstack.envs.worlds.spec import load_world, world_names
from navstack.errors import InputError
from navstack.results import SUCCESS, TIMEOUT

STEP = 1.0 / 240.0


def judged(seconds, position=(-3.2, 0.0, 1.7), velocity=(0.0, 0.0, 0.0), yaw=0.0, time_limit=60.0):
    judge = StationJudge(target_enu=(0.0, 0.0, 0.5), time_limit=time_limit)
    for step in range(1, round(seconds / STEP) + 1):
        outcome = judge.update(step * STEP, position, velocity, yaw)
        if outcome:
            return outcome, step * STEP
    return None, seconds


def test_standing_in_front_of_the_target_wins_after_two_seconds():
    outcome, when = judged(3.0)
    assert outcome == SUCCESS
    assert when == pytest.approx(2.0, abs=2 * STEP)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"position": (-2.19, 0.0, 1.7)},
        {"position": (-4.21, 0.0, 1.7)},
        {"position": (-3.2, 0.0, 1.19)},
        {"position": (-3.2, 0.0, 2.41)},
        {"velocity": (0.2, 0.2, 0.2)},
        {"yaw": math.radians(15.1)},
        {"yaw": math.pi},
    ],
)
def test_outside_any_one_band_nothing_is_won(spoiled):
    assert judged(5.0, **spoiled) == (None, 5.0)


def test_a_break_starts_the_two_seconds_anew():
    judge = StationJudge((0.0, 0.0, 0.5), 60.0)
    outcomes = [
        judge.update(k * STEP, (-3.2, 0.0, 1.7), (0.4 if k == 400 else 0.0, 0.0, 0.0), 0.0)
        for k in range(1, 880)
    ]
    assert not any(outcomes)


def test_the_time_limit_ends_the_flight():
    outcome, when = judged(5.0, yaw=1.0, time_limit=2.5)
    assert outcome == TIMEOUT
    assert when == pytest.approx(2.5, abs=2 * STEP)


@given(seed=st.integers(0, 2**32 - 1))
def test_every_start_obeys_the_published_numbers(seed):
    scenario = FlyToTarget().scenario(load_world("meadow"), np.random.default_rng(seed), 1.0)
    (x, y, z), target = scenario.position_enu, scenario.target_enu
    distance = math.hypot(target[0] - x, target[1] - y)
    bearing = math.remainder(math.atan2(target[1] - y, target[0] - x) - scenario.yaw, math.tau)
    assert 5.5 <= distance <= 12.0
    assert distance == pytest.approx(scenario.start_distance)
    assert 1.2 <= z <= 3.0
    assert abs(bearing) <= math.radians(35.0) + 1e-9
    assert scenario.time_limit == pytest.approx(10.0 + distance / 0.5)
    focal = 48.0 / math.tan(math.radians(40.0))
    assert focal * 2.0 * target[2] / distance >= 4.0  # pixels that the target spans


@given(
    seed=st.integers(0, 2**32 - 1), distance=st.floats(1.0, 3.0), scaled=st.booleans(),
    difficulty=st.floats(0.0, 1.0),
)  # fmt: skip
def test_the_range_test_begins_further_away_with_targets_as_large_in_the_picture(
    seed, distance, scaled, difficulty
):
    task = FlyToTarget(distance=distance, scale_targets=scaled)
    scenario = task.scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)
    near, far = 5.5 * distance, 12.0 * distance
    assert near - 1e-9 <= scenario.start_distance <= near + difficulty * (far - near) + 1e-9
    assert scenario.time_limit == pytest.approx(10.0 + scenario.start_distance / 0.5)
    (target,) = scenario.layout.targets
    focal = 48.0 / math.tan(math.radians(40.0))
    if scaled:
        assert focal * target.size / scenario.start_distance >= 4.0 - 1e-9
    else:
        assert 0.9 <= target.size <= 1.3
    (corridor,) = scenario.layout.corridors
    assert corridor.radius >= 0.6 * target.size + 0.5


def test_bands_and_pilot_grow_with_the_target():
    task = FlyToTarget(distance=3.0)
    assert task.scale == pytest.approx(2.736, abs=1e-3)
    assert FlyToTarget(distance=2.0).scale == pytest.approx(1.824, abs=1e-3)
    assert FlyToTarget().scale == FlyToTarget(distance=3.0, scale_targets=False).scale == 1.0
    scenario = task.scenario(load_world("meadow"), np.random.default_rng(0), 1.0)
    judge = task.roles(scenario).judge
    x, y, _ = scenario.target_enu

    def won(distance, height):
        judge.inside_since = None
        outcomes = [judge.update(t, (x - distance, y, height), (0.0, 0.0, 0.0), 0.0) for t in (0.0, 2.0)]
        return outcomes[-1] == SUCCESS

    assert [won(d, 4.7) for d in (5.9, 6.1, 9.0, 11.4, 11.6)] == [False, True, True, True, False]
    assert [won(9.0, h) for h in (3.2, 3.4, 6.5, 6.6)] == [False, True, True, False]


@pytest.mark.parametrize("distance", [0.9, 3.1, -1.0])
def test_a_distance_out_of_range_is_refused(distance):
    with pytest.raises(InputError, match=r"FlyToTarget's distance is .* between 1 and 3"):
        NavigationEnv(distance=distance)


@pytest.mark.parametrize("world", ["barn", "forest"])
def test_the_expert_wins_from_three_times_as_far(world):
    conditions = Conditions(task_options=("distance=3",))
    assert expert_success(world, episodes=2, seed=70_100, conditions=conditions).count(SUCCESS) == 2


@given(seed=st.integers(0, 2**32 - 1))
def test_for_learning_a_flight_may_begin_too_close_or_too_low_with_room_to_back_off(seed):
    scenario = FlyToTarget().scenario(load_world("meadow"), np.random.default_rng(seed), 1.0, anywhere=True)
    (x, y, z), target, (corridor,) = scenario.position_enu, scenario.target_enu, scenario.layout.corridors
    distance = math.hypot(target[0] - x, target[1] - y)
    bearing = math.remainder(math.atan2(target[1] - y, target[0] - x) - scenario.yaw, math.tau)
    assert 1.3 <= distance <= 12.0
    assert 0.7 <= z <= 3.3
    assert abs(bearing) <= math.radians(38.0) + 1e-9
    length = math.hypot(corridor.x1 - corridor.x0, corridor.y1 - corridor.y0)
    assert length == pytest.approx(max(distance, 5.5))
    # The start lies on the corridor's middle line.
    across = (x - corridor.x0) * (corridor.y1 - corridor.y0) - (y - corridor.y0) * (corridor.x1 - corridor.x0)
    assert across / length == pytest.approx(0.0, abs=1e-9)


@given(
    distance=st.floats(1.0, 30.0), angle=st.floats(-math.pi, math.pi), height=st.floats(0.5, 5.0),
    yaw=st.floats(-math.pi, math.pi),
)  # fmt: skip
def test_the_expert_mirrors_with_the_world(distance, angle, height, yaw):
    def command(sign):
        position = (distance * math.cos(angle), sign * distance * math.sin(angle), height)
        half = sign * yaw / 2.0
        state = VehicleState(
            0.0, position, (0.0, 0.0, 0.0), (0.0, 0.0, math.sin(half), math.cos(half)), (0.0,) * 3
        )
        return ApproachExpert((0.0, 0.0, 0.5)).command(state)

    one, other = command(1.0), command(-1.0)
    assert one.forward == pytest.approx(other.forward, abs=1e-9)
    assert one.up == pytest.approx(other.up, abs=1e-9)
    if abs(abs(one.yaw_rate) - 1.0) > 1e-3:  # straight behind, left and right are the same turn
        assert one.left == pytest.approx(-other.left, abs=1e-6)
        assert one.yaw_rate == pytest.approx(-other.yaw_rate, abs=1e-6)


@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_in_every_library_world(world):
    assert expert_success(world, episodes=6, seed=70_000, conditions=Conditions()).count(SUCCESS) == 6


def test_the_expert_flies_like_a_pilot():
    """Acceleration and jerk stay bounded and the target stays in view."""
    environment = NavigationEnv(world="meadow", camera=False)
    for seed in range(3):
        _, info = environment.reset(seed=seed)
        target = environment.simulator.scenario.target_enu
        velocities, bearings = [], []
        while "outcome" not in info:
            *_, info = environment.step(info["expert_command"])
            state = info["state"]
            velocities.append(state.velocity_enu)
            east, north = target[0] - state.position_enu[0], target[1] - state.position_enu[1]
            bearings.append(abs(math.remainder(math.atan2(north, east) - state.yaw, math.tau)))
        acceleration = np.diff(np.array(velocities), axis=0) * 20.0
        jerk = np.diff(acceleration, axis=0) * 20.0
        assert np.linalg.norm(acceleration, axis=1).max() < 4.0
        assert np.linalg.norm(jerk, axis=1).max() < 25.0
        assert max(bearings) < math.radians(40.0)
        assert bearings[-1] < math.radians(3.0)
    environment.close()


@pytest.mark.parametrize("pilot", ["zero", "random"])
def test_a_thoughtless_policy_wins_less_than_one_percent(pilot):
    environment = NavigationEnv(world="meadow", camera=False)
    rng = np.random.default_rng(5)
    wins = 0
    for seed in range(101):
        _, info = environment.reset(seed=seed)
        while "outcome" not in info:
            low, high = environment.action_space.low, environment.action_space.high
            action = np.zeros(4, np.float32) if pilot == "zero" else rng.uniform(low, high).astype(np.float32)
            *_, info = environment.step(action)
        wins += info["outcome"] == SUCCESS
    assert wins == 0
