"""The guard: what leaves it, for any sequence of commands, states and times."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import Limits, VehicleState, VelocityCommand
from navstack.safety import Guard, GuardConfig, rule_table

LIMITS = Limits()
anything = st.floats(allow_nan=True, allow_infinity=True)
component = st.floats(-5.0, 5.0)


def state(time=0.0, position=(0.0, 0.0, 2.0), velocity=(0.0, 0.0, 0.0), yaw=0.0):
    half = 0.5 * yaw
    return VehicleState(time, position, velocity, (0.0, 0.0, math.sin(half), math.cos(half)), (0.0, 0.0, 0.0))


def engaged(config=None, at=(0.0, 0.0, 2.0)):
    guard = Guard(config or GuardConfig())
    guard.reset(state(position=at))
    return guard


@given(
    st.lists(
        st.tuples(anything, anything, anything, anything, st.floats(0.0, 3.0), st.floats(0.0, 0.5)),
        max_size=30,
    )
)
def test_what_leaves_is_finite_and_inside_the_limits(turns):
    guard, now = engaged(), 0.0
    for forward, left, up, yaw_rate, age, step in turns:
        now += step
        sent = guard.apply(VelocityCommand(forward, left, up, yaw_rate), age, state(now), now).command
        assert sent.is_finite()
        assert LIMITS.clamp(sent) == sent


@given(st.lists(st.tuples(component, component, component, component), max_size=60))
def test_commands_change_no_faster_than_the_limits_allow(commands):
    config, step = GuardConfig(), 0.05
    guard, before = engaged(config), VelocityCommand(0.0, 0.0, 0.0, 0.0)
    for number, values in enumerate(commands, 1):
        sent = guard.apply(VelocityCommand(*values), 0.0, state(number * step), number * step).command
        for name in ("forward", "left", "up", "yaw_rate"):
            limit = config.yaw_acceleration if name == "yaw_rate" else config.acceleration
            assert abs(getattr(sent, name) - getattr(before, name)) <= limit * step + 1e-9
        before = sent


@given(goal=component, axis=st.sampled_from(["forward", "left", "yaw_rate"]))
def test_a_constant_command_is_reached_without_overshoot(goal, axis):
    guard = engaged()
    wanted = LIMITS.clamp(replace(VelocityCommand(0.0, 0.0, 0.0, 0.0), **{axis: goal}))
    goal = getattr(wanted, axis)
    for number in range(1, 60):
        sent = getattr(guard.apply(wanted, 0.0, state(0.05 * number), 0.05 * number).command, axis)
        assert abs(sent) <= abs(goal) + 1e-9
    assert sent == pytest.approx(goal, abs=1e-3)


@settings(max_examples=60)
@given(
    start=st.tuples(st.floats(-14.0, 14.0), st.floats(-14.0, 14.0), st.floats(1.2, 7.0)),
    commands=st.lists(st.tuples(component, component, component, component), min_size=1, max_size=8),
    yaw=st.floats(-math.pi, math.pi),
)
def test_a_vehicle_that_follows_crosses_neither_fence_nor_floor_nor_ceiling(start, commands, yaw):
    """A point mass that follows with a lag of 0.15 s and at most 3 m/s^2, from rest, for 20 s."""
    config = GuardConfig(fence=20.0, ceiling=8.0)
    guard = engaged(config, (0.0, 0.0, 2.0))
    position, velocity, step = list(start), [0.0, 0.0, 0.0], 0.05
    for number in range(1, 400):
        now = number * step
        command = VelocityCommand(*commands[number * len(commands) // 400])
        here = state(now, tuple(position), tuple(velocity), yaw)
        sent = guard.apply(command, 0.0, here, now).command
        yaw += sent.yaw_rate * step
        goal = (
            sent.forward * math.cos(yaw) - sent.left * math.sin(yaw),
            sent.forward * math.sin(yaw) + sent.left * math.cos(yaw),
            sent.up,
        )
        pull = [(g - v) / 0.15 for g, v in zip(goal, velocity, strict=True)]
        size = math.hypot(*pull)
        scale = min(1.0, 3.0 / size) if size else 1.0
        for axis in range(3):
            velocity[axis] += scale * pull[axis] * step
            position[axis] += velocity[axis] * step
        assert math.hypot(position[0], position[1]) <= config.fence
        assert config.floor <= position[2] <= config.ceiling


@pytest.mark.parametrize("outside", [(25.0, 0.0, 2.0), (0.0, -30.0, 2.0), (0.0, 0.0, 0.5), (0.0, 0.0, 12.0)])
def test_from_outside_the_way_leads_back_in_slowly(outside):
    guard = engaged(GuardConfig(fence=20.0, ceiling=8.0))
    outward = VelocityCommand(2.0, -1.0, -1.0 if outside[2] < 1.0 else 1.0, 0.0)
    sent = guard.apply(outward, 0.0, state(0.05, outside), 0.05).command
    inward = [-p for p in outside[:2]] if abs(outside[2] - 2.0) < 1e-9 else [0.0, 0.0]
    vertical = math.copysign(1.0, 4.0 - outside[2]) if inward == [0.0, 0.0] else 0.0
    along = sent.forward * inward[0] + sent.left * inward[1] + sent.up * vertical
    assert along > 0.0
    assert math.hypot(sent.forward, sent.left) <= 0.5 + 1e-9 or vertical


def test_old_frames_fade_the_command_out():
    guard = engaged(GuardConfig(longest_dt=0.2))
    command, now = VelocityCommand(1.0, 0.0, 0.0, 0.0), 0.0

    def settled(age):
        nonlocal now
        for _ in range(40):
            now += 0.05
            sent = guard.apply(command, age, state(now), now).command
        return sent.forward

    assert settled(0.2) == pytest.approx(1.0)
    assert settled(0.4) == pytest.approx(0.5)
    assert settled(0.6) == pytest.approx(0.0)
    assert settled(5.0) == pytest.approx(0.0)


def test_events_tell_when_a_rule_begins_and_ends():
    guard = engaged()
    bad, good = VelocityCommand(math.nan, 0.0, 0.0, 0.0), VelocityCommand(0.0, 0.0, 0.0, 0.0)
    first = guard.apply(bad, 0.0, state(0.05), 0.05).events
    again = guard.apply(bad, 0.0, state(0.10), 0.10).events
    ended = guard.apply(good, 0.0, state(0.15), 0.15).events
    assert [(e.rule, e.action) for e in first] == [("finite", "hover")]
    assert again == ()
    assert [(e.rule, e.action) for e in ended] == [("finite", "")]


def test_the_table_in_the_docs_is_the_rules_own():
    page = Path(__file__).resolve().parents[2] / "docs" / "guard.md"
    assert rule_table() in page.read_text()


def test_the_floor_is_above_the_ground_where_the_height_is_measured() -> None:
    """Down a slope: 1.2 m above the ground below, though lower than where it took off."""
    guard = Guard(GuardConfig(floor=1.0))
    down = VelocityCommand(0.0, 0.0, -0.5, 0.0)
    for height, position, sinks in ((3.0, 0.5, True), (0.9, 5.0, False)):
        here = replace(state(position=(0.0, 0.0, position)), height=height)
        guard.reset(here)
        sent = [guard.apply(down, 0.0, replace(here, time=0.02 * k), 0.02 * k).command for k in range(1, 60)]
        assert (sent[-1].up < -0.3) == sinks
        assert sinks or sent[-1].up > 0.0
