"""Hike: one target after the other, each on the stated side of the one before."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.hike import BERTH, HikeExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.hike import PLACES, SPACING, Hike, HikeJudge
from navstack.envs.worlds.spec import load_world, world_names
from navstack.errors import InputError
from navstack.results import SUCCESS, TIMEOUT

LAYOUTS = tuple(SPACING)


def judge_of(task: Hike, seed: int = 0, difficulty: float = 1.0) -> HikeJudge:
    judge = task.roles(task.scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)).judge
    assert isinstance(judge, HikeJudge)
    return judge


def reach(judge: HikeJudge, time: float) -> str | None:
    """Stand in front of the target to reach now, long enough."""
    x, y, _ = judge.target_enu
    outcomes = [judge.update(time + t, (x - 3.0, y, 1.8), (0.0, 0.0, 0.0), 0.0) for t in (0.0, 1.0)]
    return outcomes[-1]


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1), layout=st.sampled_from(LAYOUTS), targets=st.integers(2, 8),
    side=st.sampled_from(("left", "right")), difficulty=st.floats(0.0, 1.0),
)  # fmt: skip
def test_the_next_target_is_on_the_stated_side_at_the_stated_distance(
    seed, layout, targets, side, difficulty
):
    task = Hike(layout=layout, targets=targets, side=side)
    scenario = task.scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)
    plan, placed = scenario.plan, scenario.layout.targets
    assert len(plan.places) == targets
    assert len(placed) == min(targets, PLACES[layout])
    (x, y, z), first = scenario.position_enu, placed[plan.places[0]]
    assert 5.5 - 1e-9 <= math.hypot(first.x - x, first.y - y) <= 8.0
    assert 1.2 <= z <= 3.0
    bearing = math.remainder(math.atan2(first.y - y, first.x - x) - scenario.yaw, math.tau)
    assert abs(bearing) <= difficulty * math.radians(30.0) + 1e-9
    assert scenario.time_limit == pytest.approx(10.0 * targets + sum(plan.legs) / 0.5)
    came = math.atan2(first.y - y, first.x - x)
    for here, there in zip(plan.places[:-1], plan.places[1:], strict=True):
        a, b = placed[here], placed[there]
        assert SPACING[layout][0] <= math.dist((a.x, a.y), (b.x, b.y)) <= SPACING[layout][1]
        leg = math.atan2(b.y - a.y, b.x - a.x)
        turn = math.remainder(leg - came, math.tau) * (1.0 if side == "left" else -1.0)
        expected = {"straight": 0.0, "triangular": 2.0 * math.pi / 3.0, "circular": math.pi / 4.0}[layout]
        assert turn == pytest.approx(expected)
        came = leg


def test_the_targets_count_in_order_and_the_fraction_is_reported():
    judge = judge_of(Hike(targets=4, layout="circular"))
    assert judge.report() == {"fraction": 0.0}
    outcomes = []
    for leg in range(4):
        outcomes.append(reach(judge, 10.0 * leg))
        assert judge.report() == {"fraction": (leg + 1) / 4}
    assert outcomes == [None, None, None, SUCCESS]


def test_a_later_target_does_not_count_before_its_turn():
    judge = judge_of(Hike(targets=3))
    last = judge.scenario.layout.targets[2]
    for t in (0.0, 1.0, 2.0):
        assert judge.update(t, (last.x - 3.0, last.y, 1.8), (0.0, 0.0, 0.0), 0.0) is None
    assert judge.report() == {"fraction": 0.0}
    assert judge.update(judge.scenario.time_limit, (0.0, 0.0, 9.0), (0.0, 0.0, 0.0), 0.0) == TIMEOUT


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        (Hike(targets=3), [(1, 1, 1), (0, 1, 1), (0, 0, 1)]),
        (Hike(targets=5), [(1, 1, 1), (0, 1, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0)]),
        (Hike(targets=3, layout="straight"), [(1, 1, 1), (0, 1, 1), (0, 0, 1)]),
        (Hike(targets=5, keep_passed=True), 5 * [(1, 1, 1)]),
    ],
)
def test_passed_targets_disappear_or_stay(task, shown):
    judge, seen = judge_of(task), []
    for leg in range(task.targets):
        seen.append(judge.shown)
        assert len(judge.standing) == sum(judge.shown) - 1
        reach(judge, 10.0 * leg)
    assert seen == shown


def test_a_passed_target_is_gone_and_the_fraction_rises():
    environment = NavigationEnv(task="Hike", layout="straight", camera=False)
    _, info = environment.reset(seed=1)
    fractions = [info["fraction"]]
    while "outcome" not in info:
        *_, info = environment.step(info["expert_command"])
        fractions.append(info["fraction"])
    assert info["outcome"] == SUCCESS
    assert sorted(set(fractions)) == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
    assert fractions == sorted(fractions)
    hidden = [
        environment.simulator.scene.obstacles[movable.row, 3] < 0
        for movable in environment.simulator._stage.targets
    ]
    assert hidden == [True, True, False]
    environment.close()


class Ahead:
    """A course whose next target is behind one that was passed."""

    target_enu = (10.0, 0.0, 0.5)
    standing = ((4.0, 0.0, 0.5),)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_what_stands_in_the_way_is_passed_on_the_stated_side(side):
    expert, (x, y), nearest = HikeExpert(Ahead(), side), (0.0, 0.0), math.inf
    for step in range(400):
        half = 0.5 * math.atan2(-y, 10.0 - x)
        state = VehicleState(
            step * 0.05, (x, y, 1.75), (0.0,) * 3, (0.0, 0.0, math.sin(half), math.cos(half)), (0.0,) * 3
        )
        command = expert.command(state)
        c, s = math.cos(2 * half), math.sin(2 * half)
        x += 0.05 * (c * command.forward - s * command.left)
        y += 0.05 * (s * command.forward + c * command.left)
        nearest = min(nearest, math.hypot(x - 4.0, y))
        if abs(x - 4.0) < 0.1:
            assert y * side > 0.0
    assert nearest > 0.8 * BERTH
    assert math.hypot(10.0 - x, y) == pytest.approx(3.3, abs=0.2)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [({"layout": "round"}, "layout is 'round'"), ({"targets": 9}, "targets is 9.* between 2 and 8"),
     ({"targets": 2.5}, "whole number"), ({"side": "lift"}, "did you mean 'left'"),
     ({"keep_passed": "perhaps"}, "true or false")],
)  # fmt: skip
def test_parameters_out_of_range_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        NavigationEnv(task="Hike", **wrong)


def test_to_learn_a_flight_may_begin_at_any_leg():
    task = Hike(targets=4)
    firsts = {
        task.scenario(load_world("meadow"), np.random.default_rng(seed), 1.0, anywhere=True).plan.first
        for seed in range(40)
    }
    assert firsts == {0, 1, 2, 3}
    environment = NavigationEnv(task="Hike", camera=False, targets=4)
    _, info = environment.reset(seed=3, options={"anywhere": True})
    while "outcome" not in info:
        *_, info = environment.step(info["expert_command"])
    assert info["outcome"] == SUCCESS
    environment.close()


@pytest.mark.parametrize("world", ["barn", "forest"])
def test_the_expert_wins(world):
    assert expert_success(world, 1, 71_200, Conditions(env="Hike")) == [SUCCESS]


@pytest.mark.slow
@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_in_every_library_world(world):
    assert expert_success(world, 2, 71_000, Conditions(env="Hike")).count(SUCCESS) == 2


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("keep", ["true", "false"])
@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_the_longest_hike_of_every_layout(world, layout, keep):
    conditions = Conditions(env="Hike", task_options=(f"layout={layout}", "targets=8", f"keep_passed={keep}"))
    assert expert_success(world, 2, 71_100, conditions).count(SUCCESS) == 2
