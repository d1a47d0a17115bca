"""Chase: a target that moves, and a minute behind it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.chase import ChaseExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.tasks.chase import STEP, Chase, ChaseJudge, Path
from navstack.envs.worlds.spec import load_world, world_names
from navstack.results import SUCCESS, TIMEOUT

HZ = 240


def scenario(seed: int, difficulty: float = 1.0):
    return Chase().scenario(load_world("meadow"), np.random.default_rng(seed), difficulty)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), difficulty=st.floats(0.0, 1.0))
def test_every_path_obeys_the_published_numbers(seed, difficulty):
    drawn = scenario(seed, difficulty)
    xs, ys = np.array(drawn.plan.xs), np.array(drawn.plan.ys)
    assert len(xs) == round(60.0 / STEP) + 1
    speed = np.hypot(np.diff(xs), np.diff(ys)) / STEP
    assert speed.min() >= 0.5 - 1e-6
    assert speed.max() <= 0.5 + 1.5 * difficulty + 1e-6
    assert np.abs(np.diff(speed)).max() / STEP < 1.0  # m/s^2
    turned = np.diff(np.unwrap(np.arctan2(np.diff(ys), np.diff(xs))))
    assert np.abs(turned / (speed[1:] * STEP)).max() <= 0.25 + 1e-6
    assert np.hypot(xs, ys).max() <= 12.0
    (x, y, z), (tx, ty, _) = drawn.position_enu, drawn.target_enu
    assert 3.0 <= math.hypot(tx - x, ty - y) <= 5.5
    assert 1.2 <= z <= 3.0
    assert abs(math.remainder(math.atan2(ty - y, tx - x) - drawn.yaw, math.tau)) <= math.radians(20.0) + 1e-9
    assert drawn.time_limit == 60.0


@pytest.mark.parametrize("seed", range(6))
def test_nothing_stands_near_the_path(seed):
    drawn = scenario(seed)
    starts = np.array([(c.x0, c.y0) for c in drawn.layout.corridors])
    ends = np.array([(c.x1, c.y1) for c in drawn.layout.corridors])
    along = ends - starts
    for x, y in zip(drawn.plan.xs[::7], drawn.plan.ys[::7], strict=True):
        away = np.array((x, y)) - starts
        share = np.clip((away * along).sum(axis=1) / np.maximum(1e-9, (along**2).sum(axis=1)), 0.0, 1.0)
        nearest = np.linalg.norm(away - share[:, None] * along, axis=1).min()
        assert min(c.radius for c in drawn.layout.corridors) - nearest >= 4.0


def judged(inside_share: float) -> tuple[str | None, float]:
    """A flight that is inside the band for this share of the time that counts."""
    judge = ChaseJudge(Path((0.0, 0.0), (0.0, 0.0)), 0.5)
    for step in range(1, 60 * HZ + 1):
        time = step / HZ
        far = time > 5.0 + inside_share * 55.0
        outcome = judge.update(time, (-9.0 if far else -3.0, 0.0, 1.5), (0.0, 0.0, 0.0), 0.0)
        if outcome:
            return outcome, judge.report()["fraction"]
    return None, judge.report()["fraction"]


@pytest.mark.parametrize(
    ("share", "outcome"), [(0.91, SUCCESS), (0.89, TIMEOUT), (1.0, SUCCESS), (0.0, TIMEOUT)]
)
def test_nine_tenths_of_the_time_that_counts_win(share, outcome):
    end, fraction = judged(share)
    assert end == outcome
    assert fraction == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize(
    ("x", "yaw", "counts"),
    [(-2.1, 0.0, False), (-2.3, 0.0, True), (-4.9, 0.0, True), (-5.1, 0.0, False), (-3.0, 0.25, True),
     (-3.0, 0.27, False)],
)  # fmt: skip
def test_the_band(x, yaw, counts):
    judge = ChaseJudge(Path((0.0, 0.0), (0.0, 0.0)), 0.5)
    judge.update(4.9, (-9.0, 0.0, 1.5), (0.0, 0.0, 0.0), 0.0)  # does not count
    judge.update(5.1, (x, 0.0, 1.5), (0.0, 0.0, 0.0), yaw)
    assert judge.report() == {"fraction": float(counts)}


def test_the_target_is_where_the_path_says_and_is_seen_there():
    environment = NavigationEnv(task="Chase")
    environment.reset(seed=3)
    simulator = environment.simulator
    for _ in range(40):
        _, _, _, _, info = environment.step(np.zeros(4, np.float32))
    path, movable = simulator.scenario.plan, simulator._stage.targets[0]
    x, y, _, _ = path.at(info["state"].time)
    assert math.hypot(x - path.xs[0], y - path.ys[0]) > 0.9
    assert simulator.scene.obstacles[movable.row, :2] == pytest.approx((x, y))
    assert simulator.judge.target_enu[:2] == pytest.approx((x, y))
    environment.close()


def test_the_velocity_is_the_paths_own():
    path = scenario(5).plan
    for time in (0.0, 7.31, 33.333, 59.9):
        x, y, vx, vy = path.at(time)
        later = path.at(time + 1e-4)
        assert (later[0] - x) / 1e-4 == pytest.approx(vx, abs=0.05)
        assert (later[1] - y) / 1e-4 == pytest.approx(vy, abs=0.05)
    assert path.at(61.0)[2:] == (0.0, 0.0)


@given(
    x=st.floats(-9.0, 9.0), y=st.floats(0.5, 9.0), yaw=st.floats(-3.0, 3.0), speed=st.floats(-2.0, 2.0),
    course=st.floats(-3.0, 3.0),
)  # fmt: skip
def test_the_expert_mirrors_with_the_world(x, y, yaw, speed, course):
    class Moving:
        def __init__(self, sign):
            self.sign = sign

        def at(self, time):
            return 0.0, 0.0, speed * math.cos(course), self.sign * speed * math.sin(course)

    def command(sign):
        half = 0.5 * sign * yaw
        state = VehicleState(
            0.0,
            (x, sign * y, 2.0),
            (0.3, sign * 0.2, 0.0),
            (0.0, 0.0, math.sin(half), math.cos(half)),
            (0.0,) * 3,
        )
        return ChaseExpert(Moving(sign)).command(state)

    one, other = command(1.0), command(-1.0)
    assert (one.forward, one.up) == pytest.approx((other.forward, other.up), abs=1e-9)
    assert (one.left, one.yaw_rate) == pytest.approx((-other.left, -other.yaw_rate), abs=1e-6)


@pytest.mark.parametrize("pilot", ["zero", pytest.param("random", marks=pytest.mark.slow)])
def test_who_does_not_look_does_not_win(pilot):
    environment = NavigationEnv(task="Chase", camera=False)
    rng, bound = np.random.default_rng(0), environment.limits.as_array()
    _, info = environment.reset(seed=0)
    while "outcome" not in info:
        action = np.zeros(4) if pilot == "zero" else rng.uniform(-bound, bound)
        *_, info = environment.step(action.astype(np.float32))
    assert info["outcome"] != SUCCESS
    assert info["fraction"] < 0.5
    environment.close()


@pytest.mark.parametrize("world", ["barn"])
def test_the_expert_stays_behind(world):
    assert expert_success(world, 1, 71_000, Conditions(env="Chase")) == [SUCCESS]


@pytest.mark.slow
@pytest.mark.parametrize("world", world_names())
def test_the_expert_wins_in_every_library_world(world):
    assert expert_success(world, 4, 71_100, Conditions(env="Chase")).count(SUCCESS) == 4
