"""The guard: what leaves it, for any sequence of commands, states and times."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.contract import Limits, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.safety import Guard, GuardConfig, rule_table
from navstack.safety.fence import Polygon

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


POLYGON = ((-18.0, -15.0), (18.0, -15.0), (18.0, 15.0), (4.0, 15.0), (3.0, 6.0), (-3.0, 6.0), (-18.0, 15.0))
"""A field with a notch: not convex."""


def crossing(config, start, commands, yaw, wind, seconds=20.0):
    """Fly a point mass from rest; the places where it was (m).

    It follows with a lag of 0.15 s and at most 3 m/s^2; wind carries it up to `drift` beyond its command, to
    where it is pushed hardest or steadily.
    """
    guard = engaged(config, (0.0, 0.0, 2.0))
    position, velocity, step, places = list(start), [0.0, 0.0, 0.0], 0.05, []
    turns = round(seconds / step)
    for number in range(1, turns):
        now = number * step
        command = VelocityCommand(*commands[number * len(commands) // turns])
        here = state(now, tuple(position), tuple(velocity), yaw)
        sent = guard.apply(command, 0.0, here, now).command
        assert config.limits.clamp(sent) == sent
        yaw += sent.yaw_rate * step
        goal = [
            sent.forward * math.cos(yaw) - sent.left * math.sin(yaw) + wind[0],
            sent.forward * math.sin(yaw) + sent.left * math.cos(yaw) + wind[1],
            sent.up + wind[2],
        ]
        pull = [(g - v) / 0.15 for g, v in zip(goal, velocity, strict=True)]
        size = math.hypot(*pull)
        scale = min(1.0, 3.0 / size) if size else 1.0
        for axis in range(3):
            velocity[axis] += scale * pull[axis] * step
            position[axis] += velocity[axis] * step
        places.append(tuple(position))
    return places


flown = st.lists(st.tuples(component, component, component, component), min_size=1, max_size=8)
heading = st.floats(-math.pi, math.pi)


@settings(max_examples=60)
@given(
    start=st.tuples(st.floats(-14.0, 14.0), st.floats(-14.0, 14.0), st.floats(1.2, 7.0)),
    commands=flown,
    yaw=heading,
)
def test_a_vehicle_that_follows_crosses_neither_fence_nor_floor_nor_ceiling(start, commands, yaw):
    config = GuardConfig(fence=20.0, ceiling=8.0)
    for x, y, z in crossing(config, start, commands, yaw, (0.0, 0.0, 0.0)):
        assert math.hypot(x, y) <= config.fence
        assert config.floor <= z <= config.ceiling


blowing = st.tuples(heading, st.floats(-1.0, 1.0), st.floats(0.0, 0.4))


@settings(max_examples=40)
@given(
    start=st.tuples(st.floats(-13.0, 13.0), st.floats(-13.0, 13.0), st.floats(1.5, 6.0)),
    commands=flown,
    yaw=heading,
    blowing=blowing,
)
def test_nor_in_the_wind_that_was_stated(start, commands, yaw, blowing):
    config = GuardConfig(fence=20.0, ceiling=8.0, drift=0.4)
    for x, y, z in crossing(config, start, commands, yaw, _wind(*blowing)):
        assert math.hypot(x, y) <= config.fence
        assert config.floor <= z <= config.ceiling


@settings(max_examples=40)
@given(
    start=st.tuples(st.floats(-14.0, 14.0), st.floats(-11.0, 2.0), st.floats(1.5, 6.0)),
    commands=flown,
    yaw=heading,
    blowing=blowing,
)
def test_nor_a_fence_that_is_a_polygon(start, commands, yaw, blowing):
    config = GuardConfig(polygon=POLYGON, ceiling=8.0, drift=0.4)
    fence = Polygon(POLYGON)
    for x, y, z in crossing(config, start, commands, yaw, _wind(*blowing)):
        assert fence.room(x, y).distance >= 0.0
        assert config.floor <= z <= config.ceiling


def _wind(bearing, tilt, speed):
    level = math.sqrt(1.0 - tilt * tilt)
    return speed * level * math.cos(bearing), speed * level * math.sin(bearing), speed * tilt


@pytest.mark.parametrize("loss", [0.5, 1.0])
@pytest.mark.parametrize("heading", [0.0, 0.8, 2.4])
def test_a_computer_that_dies_leaves_a_vehicle_that_stops_inside(loss, heading):
    """The last command is flown on for the autopilot's timeout, then it brakes."""
    config = GuardConfig(fence=20.0, link_loss=loss)
    guard = engaged(config)
    x = y = 0.0
    for number in range(1, 600):
        here = state(0.05 * number, (x, y, 2.0), yaw=heading)
        sent = guard.apply(VelocityCommand(2.0, 0.5, 0.0, 0.0), 0.0, here, 0.05 * number).command
        speed = math.hypot(sent.forward, sent.left)
        stopping = speed * loss + speed * speed / (2.0 * config.braking)
        vx = sent.forward * math.cos(heading) - sent.left * math.sin(heading)
        vy = sent.forward * math.sin(heading) + sent.left * math.cos(heading)
        if speed > 1e-6:
            assert math.hypot(x + vx / speed * stopping, y + vy / speed * stopping) <= config.fence
        x, y = x + 0.05 * vx, y + 0.05 * vy
    assert math.hypot(x, y) > 18.0


@pytest.mark.parametrize(
    ("polygon", "sentence"),
    [
        (((0.0, 0.0), (1.0, 1.0)), "at least 3"),
        (((-1.0, -1.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)), "cross"),
        (((5.0, 5.0), (6.0, 5.0), (6.0, 6.0)), "does not hold"),
        (((-1.0, -1.0), (1.0, -1.0), (1.0, -1.0), (0.0, 2.0)), "one place"),
        (((math.nan, -1.0), (1.0, -1.0), (0.0, 2.0)), "finite"),
    ],
)
def test_a_polygon_that_is_none_is_refused(polygon, sentence):
    with pytest.raises(InputError, match=sentence):
        Guard(GuardConfig(polygon=polygon))


def test_emergency_braking_beats_the_rates_and_keeps_the_way_back():
    guard = engaged(GuardConfig(fence=20.0))
    for number in range(1, 21):
        guard.apply(VelocityCommand(2.0, 0.0, 0.0, 0.0), 0.0, state(0.05 * number), 0.05 * number)
    fast = state(1.05, (19.5, 0.0, 2.0), (2.0, 0.0, 0.0))
    braking = guard.apply(VelocityCommand(2.0, 0.0, 0.0, 0.0), 0.0, fast, 1.05)
    assert braking.command.forward == pytest.approx(1.0)  # 20 m/s^2 for 50 ms, not 5
    assert ("emergency braking", "brake") in [(e.rule, e.action) for e in braking.events]
    for number in range(22, 40):
        fast = state(0.05 * number, (19.6, 0.0, 2.0), (1.5, 0.0, 0.0))
        back = guard.apply(VelocityCommand(-1.0, 0.0, 0.0, 0.0), 0.0, fast, 0.05 * number).command
    assert back.forward == pytest.approx(-1.0)


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
