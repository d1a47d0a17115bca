"""Gates: the course, what counts as passed, and a pilot that flies through the middles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from navstack.contract import VehicleState
from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.experts.gates import Gate, GatesExpert
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.tasks.gates import CourseJudge, Gates
from navstack.envs.worlds.spec import is_target_red, load_world
from navstack.errors import InputError
from navstack.results import COLLISION, SUCCESS, TIMEOUT

WORLDS = {name: load_world(name) for name in ("meadow",)}

STEP = 1.0 / 240.0
STILL = (0.0, 0.0, 0.0)
EAST = Gate((0.0, 0.0, 1.8), 0.0)
TURNED = Gate((5.0, 1.0, 1.5), 0.5)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 8), difficulty=st.floats(0.0, 1.0))
def test_every_course_obeys_the_published_numbers(seed: int, number: int, difficulty: float) -> None:
    scenario = Gates(number).scenario(WORLDS["meadow"], np.random.default_rng(seed), difficulty)
    judge = Gates(number).roles(scenario).judge
    assert isinstance(judge, CourseJudge)
    middles = np.array([scenario.position_enu, *(gate.middle for gate in judge.gates)])
    assert len(judge.gates) == number
    ways = np.diff(middles[:, :2], axis=0)
    lengths, headings = np.hypot(*ways.T), np.arctan2(ways[:, 1], ways[:, 0])
    assert 4.5 - 1e-9 <= lengths[0] <= 6.0
    assert ((lengths[1:] >= 4.5 - 1e-9) & (lengths[1:] <= 5.5)).all()
    turns = np.array([math.remainder(a, math.tau) for a in np.diff(headings)])
    assert (abs(turns) <= difficulty * math.radians(35.0) + 1e-9).all()
    apart = np.hypot(*(middles[:, None, :2] - middles[None, :, :2]).transpose(2, 0, 1))
    assert apart[np.triu_indices(number + 1, 1)].min() >= 4.0 - 1e-9
    assert ((middles[1:, 2] >= 1.4 - 1e-9) & (middles[1:, 2] <= 2.2 + 1e-9)).all()
    for k, gate in enumerate(judge.gates):  # it faces between the way in and the way out
        out = headings[min(k + 1, number - 1)]
        between = headings[k] + 0.5 * math.remainder(out - headings[k], math.tau)
        assert abs(math.remainder(gate.yaw - between, math.tau)) <= math.radians(8.0) + 1e-9
    assert 1.2 <= middles[0, 2] <= 2.4
    bearing = math.remainder(float(headings[0]) - scenario.yaw, math.tau)
    assert abs(bearing) <= difficulty * math.radians(20.0) + 1e-9
    length = np.linalg.norm(np.diff(middles, axis=0), axis=1).sum()
    assert scenario.time_limit == pytest.approx(10.0 + length / 0.5)
    assert judge.remaining(scenario.position_enu) == pytest.approx(length)
    assert all(is_target_red(prop.color) for prop in scenario.layout.props)


def crossed(*places: tuple[float, float, float], gates: tuple[Gate, ...] = (EAST, TURNED)) -> CourseJudge:
    judge = CourseJudge(gates, 60.0)
    for number, place in enumerate(places):
        assert judge.update(STEP * number, place, STILL, 0.0) is None
    return judge


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ((-0.01, 0.0, 1.8), (0.01, 0.0, 1.8), True),
        ((-0.01, 0.79, 1.8), (0.01, 0.79, 1.8), True),
        ((-0.01, -0.81, 1.8), (0.01, -0.81, 1.8), False),
        ((-0.01, 0.0, 2.59), (0.01, 0.0, 2.59), True),
        ((-0.01, 0.0, 2.61), (0.01, 0.0, 2.61), False),
        ((-0.01, 0.0, 0.99), (0.01, 0.0, 0.99), False),
        ((0.01, 0.0, 1.8), (-0.01, 0.0, 1.8), False),  # from behind
        ((-0.5, 1.2, 1.8), (0.5, 0.2, 1.8), True),  # through the plane at 0.7
        ((-0.5, 1.4, 1.8), (0.5, 0.4, 1.8), False),  # at 0.9, though it ends inside
        ((-1.0, 0.0, 1.8), (-0.5, 0.0, 1.8), False),
    ],
)
def test_only_a_crossing_inside_and_in_the_right_direction_counts(
    one: tuple[float, float, float], other: tuple[float, float, float], counts: bool
) -> None:
    assert crossed(one, other).report() == {"fraction": 0.5 if counts else 0.0}


def test_a_gate_out_of_turn_does_not_count() -> None:
    c, s = math.cos(0.5), math.sin(0.5)
    before, after = ((5.0 + k * c, 1.0 + k * s, 1.5) for k in (-0.1, 0.1))
    assert crossed(before, after).next == 0
    judge = crossed((-0.1, 0.0, 1.8), (0.1, 0.0, 1.8), before)
    assert judge.target_enu == TURNED.middle
    assert judge.update(1.0, after, STILL, 0.0) == SUCCESS
    assert judge.report() == {"fraction": 1.0}
    assert judge.remaining(after) == 0.0


def test_a_missed_gate_remains_the_next() -> None:
    judge = crossed((-0.1, 1.5, 1.8), (0.1, 1.5, 1.8), (0.1, 0.0, 1.8), (-0.1, 0.0, 1.8))
    assert judge.next == 0
    judge.update(1.0, (0.1, 0.0, 1.8), STILL, 0.0)
    assert judge.next == 1


def test_the_time_limit_ends_the_flight() -> None:
    judge = CourseJudge((EAST,), 2.0)
    assert judge.update(1.99, (-1.0, 0.0, 1.8), STILL, 0.0) is None
    assert judge.update(2.0, (-1.0, 0.0, 1.8), STILL, 0.0) == TIMEOUT


@given(
    x=st.floats(-6.0, 6.0), y=st.floats(-6.0, 6.0), dx=st.floats(-1.0, 1.0), dy=st.floats(-1.0, 1.0),
    z=st.floats(0.0, 4.0), yaw=st.floats(-math.pi, math.pi), east=st.floats(-9, 9), turn=st.floats(-3, 3),
)  # fmt: skip
def test_passing_does_not_depend_on_where_the_world_is_looked_at_from(
    x: float, y: float, dx: float, dy: float, z: float, yaw: float, east: float, turn: float
) -> None:
    def moved(place: tuple[float, float, float]) -> tuple[float, float, float]:
        c, s = math.cos(turn), math.sin(turn)
        return c * place[0] - s * place[1] + east, s * place[0] + c * place[1] - east, place[2]

    gate, one, other = Gate((1.0, 2.0, 1.7), yaw), (x, y, z), (x + dx, y + dy, z)
    before, left = gate.seen_from(x, y)
    then, left_then = gate.seen_from(x + dx, y + dy)
    edge = min(abs(before), abs(then), *(abs(abs(v) - 0.8) for v in (left, left_then, z - 1.7)))
    if edge > 1e-6:
        assert gate.passed(one, other) == Gate(moved(gate.middle), yaw + turn).passed(
            moved(one), moved(other)
        )
    assert not (gate.passed(one, other) and gate.passed(other, one))


@pytest.mark.parametrize("gates", [0, 9, 2.5, "many"])
def test_a_number_of_gates_out_of_range_is_refused(gates: object) -> None:
    with pytest.raises(InputError, match=r"Gates's gates is .*must be"):
        NavigationEnv(task="Gates", gates=gates)


@pytest.mark.parametrize("number", [1, 8])
@pytest.mark.parametrize("world", ["meadow", "studio", "hills"])
def test_a_built_gate_is_open_where_the_rule_says_and_solid_around(world: str, number: int) -> None:
    environment = NavigationEnv(task="Gates", world=world, camera=False, gates=number, purpose="evaluate")
    environment.reset(seed=4)
    simulator, judge = environment.simulator, environment.simulator.judge
    assert isinstance(judge, CourseJudge)
    for gate, body in zip(judge.gates, simulator.scene.props, strict=True):
        ground = simulator.scene.ground_height(*gate.middle[:2])

        def hit(aside: float, above: float, gate: Gate = gate, ground: float = ground) -> int:
            ends = [(*gate.place(along, aside), gate.middle[2] + above + ground) for along in (-0.5, 0.5)]
            return int(pybullet.rayTest(*ends, physicsClientId=simulator.client)[0][0])

        assert [hit(a, b) for a, b in ((0.0, 0.0), (0.79, 0.0), (-0.79, 0.79), (0.0, -0.79))] == 4 * [-1]
        assert [hit(a, b) for a, b in ((0.81, 0.0), (-0.94, 0.0), (0.0, 0.81), (0.3, -0.94))] == 4 * [body]
        assert hit(0.0, 0.96) == -1
    environment.close()


@pytest.mark.parametrize(("aside", "above"), [(0.8, 0.0), (-0.8, 0.0), (0.0, 0.85), (0.2, -0.85)])
def test_flying_into_the_frame_is_a_collision(aside: float, above: float) -> None:
    environment = NavigationEnv(task="Gates", camera=False, difficulty=0.0)
    _, info = environment.reset(seed=2)
    gate = environment.simulator.judge.gates[0]
    while "outcome" not in info:
        x, y, z = info["state"].position_enu
        before, left = gate.seen_from(x, y)
        up = gate.middle[2] + above - z
        *_, info = environment.step(
            np.array((0.8 if before < 4.0 else 0.2, 1.5 * (aside - left), 2.0 * up, 0.0), np.float32)
        )
        assert before > -1.0, "it flew past"
    assert info["outcome"] == COLLISION
    environment.close()


def flown(
    gates: tuple[Gate, ...], start: tuple[float, float, float], yaw: float
) -> tuple[list[float], list[float]]:
    """Follow the pilot as a point: where it crosses the first plane, and distances from axes at passing."""
    judge = CourseJudge(gates, 60.0)
    pilot, asides, crossings = GatesExpert(judge), [], []
    (x, y, z), time, outcome = start, 0.0, None
    while outcome is None:
        half = yaw / 2.0
        command = pilot.command(
            VehicleState(time, (x, y, z), STILL, (0.0, 0.0, math.sin(half), math.cos(half)), STILL)
        )
        c, s = math.cos(yaw), math.sin(yaw)
        before = gates[0].seen_from(x, y)[0]
        x += 0.05 * (command.forward * c - command.left * s)
        y += 0.05 * (command.forward * s + command.left * c)
        z, yaw, time = z + 0.05 * command.up, yaw + 0.05 * command.yaw_rate, time + 0.05
        then, left = gates[0].seen_from(x, y)
        if before * then <= 0.0:
            crossings.append(abs(left))
        number = judge.next
        outcome = judge.update(time, (x, y, z), STILL, yaw)
        if judge.next > number:
            asides.append(math.hypot(gates[number].seen_from(x, y)[1], z - gates[number].middle[2]))
    assert outcome == SUCCESS
    return crossings, asides


@given(
    x=st.floats(-6.0, 4.0), y=st.floats(-4.0, 4.0), z=st.floats(0.8, 3.0), yaw=st.floats(-math.pi, math.pi)
)
@settings(max_examples=30)
def test_from_anywhere_it_passes_the_gates_near_their_middles(
    x: float, y: float, z: float, yaw: float
) -> None:
    assume(abs(x) > 0.5 or not 0.5 < abs(y) < 1.3)  # inside the frame there is no vehicle
    crossings, asides = flown((EAST, TURNED), (x, y, z), yaw)
    assert all(not 0.7 < aside < 1.2 for aside in crossings)  # never through a post
    assert len(asides) == 2
    assert asides[1] < 0.15


def test_the_expert_wins_in_every_library_world(world: str) -> None:
    assert expert_success(world, 2, 73_000, Conditions(env="Gates")) == 2 * [SUCCESS]


def test_the_expert_flies_smoothly_through_the_middles_and_sees_where_it_flies() -> None:
    environment = NavigationEnv(task="Gates", camera=False, gates=8)
    for seed in range(2):
        _, info = environment.reset(seed=seed)
        judge = environment.simulator.judge
        velocities, commands, asides = [], [], []
        while "outcome" not in info:
            number = judge.next
            commands.append(info["expert_command"])
            *_, info = environment.step(info["expert_command"])
            state = info["state"]
            velocities.append(state.velocity_enu)
            if judge.next > number:
                gate, (x, y, z) = judge.gates[number], state.position_enu
                asides.append(math.hypot(gate.seen_from(x, y)[1], z - gate.middle[2]))
            direction = math.atan2(state.velocity_enu[1], state.velocity_enu[0])
            if state.speed > 0.7:
                assert abs(math.remainder(direction - state.yaw, math.tau)) < math.radians(40.0)
        assert info["outcome"] == SUCCESS
        assert info["fraction"] == 1.0
        assert len(asides) == 8
        assert max(asides) < 0.25
        assert np.linalg.norm(np.diff(velocities, axis=0), axis=1).max() * 20.0 < 4.0  # m/s^2
        assert np.abs(np.diff(commands, axis=0)).max() < 0.4
    environment.close()


def test_a_flight_for_learning_may_begin_before_any_gate() -> None:
    first = set()
    for seed in range(24):
        scenario = Gates().scenario(WORLDS["meadow"], np.random.default_rng(seed), 1.0, anywhere=True)
        judge = Gates().roles(scenario).judge
        assert isinstance(judge, CourseJudge)
        assert judge.target_enu == scenario.target_enu
        first.add(judge.next)
    assert first == {0, 1, 2, 3}
