"""The outer velocity loop, closed over a point that leans and climbs as it is asked to, with lag and wind."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from navstack.autopilot.velocity_loop import GRAVITY, VelocityLoop
from navstack.contract import VelocityCommand

STEP = 0.03  # s
LAG = 0.15  # s of attitude


def flown(command, seconds, hover, guess, wind=(0.0, 0.0)):
    """Velocity at the end, and the largest lean: a point whose attitude follows within LAG."""
    loop, velocity, lean, worst = VelocityLoop(), [0.0, 0.0, 0.0], [0.0, 0.0], 0.0
    loop.reset(guess)
    for _ in range(round(seconds / STEP)):
        demand = loop.update(command, tuple(velocity), (lean[1], lean[0]), STEP)
        share = 1.0 - math.exp(-STEP / LAG)
        lean[0] += share * (demand.nose_down - lean[0])
        lean[1] += share * (demand.right_down - lean[1])
        worst = max(worst, math.hypot(*lean))
        thrust = GRAVITY * (demand.throttle / hover) ** 2
        drag = 0.3
        velocity[0] += STEP * (thrust * math.sin(lean[0]) - drag * (velocity[0] - wind[0]))
        velocity[1] += STEP * (-thrust * math.sin(lean[1]) - drag * (velocity[1] - wind[1]))
        velocity[2] += STEP * (thrust * math.cos(lean[0]) * math.cos(lean[1]) - GRAVITY - drag * velocity[2])
    return velocity, worst


speed = st.floats(-1.5, 1.5)


@settings(max_examples=40)
@given(speed, speed, st.floats(-0.8, 0.8), st.floats(0.25, 0.6), st.floats(0.88, 1.12), speed, speed)
def test_it_reaches_the_velocity_in_wind_and_with_a_wrong_guess_of_the_hover_throttle(
    forward, left, up, hover, error, east, north
):
    command = VelocityCommand(forward, left, up, 0.0)
    velocity, worst = flown(command, 12.0, hover, hover * error, (east, north))
    assert velocity == pytest.approx([forward, left, up], abs=0.1)
    assert worst < math.radians(22.0)


def test_it_leans_no_further_than_it_may():
    demand = VelocityLoop().update(VelocityCommand(20.0, -20.0, 5.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0), STEP)
    assert math.hypot(demand.nose_down, demand.right_down) < math.radians(21.0)
    assert 0.0 < demand.throttle <= 0.95
