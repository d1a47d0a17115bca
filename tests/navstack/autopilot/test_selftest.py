"""The self-test in hover against vehicles that do what is asked, in wind, or something else."""

import math

import pytest

from navstack.autopilot.selftest import SelfTest
from navstack.contract import VehicleState

STEP = 0.05  # s


def flown(drift=(0.0, 0.0), yaw=0.7, turned=0.0, gain=1.0, lag=0.2):
    """The verdict on a vehicle that follows with a lag, drifts (m/s, ENU), and takes its nose for turned."""
    test, velocity, now = SelfTest(0.0), [0.0, 0.0], 0.0
    orientation = (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    while test.verdict is None:
        enu = (velocity[0] + drift[0], velocity[1] + drift[1], 0.0)
        state = VehicleState(now, (0.0, 0.0, 2.0), enu, orientation, (0.0, 0.0, 0.0))
        command = test.command(state, now)
        way = yaw + turned
        wanted = gain * command.forward * math.cos(way), gain * command.forward * math.sin(way)
        velocity = [v + STEP / lag * (w - v) for v, w in zip(velocity, wanted, strict=True)]
        now += STEP
        assert now < 10.0
    return test.verdict


def test_what_is_asked_is_flown():
    assert flown() == ""


@pytest.mark.parametrize("way", range(0, 360, 45))
def test_a_drift_that_is_left_in_hover_is_no_answer(way):
    drift = 0.14 * math.cos(math.radians(way)), 0.14 * math.sin(math.radians(way))
    assert flown(drift) == ""


@pytest.mark.parametrize("degrees", [-90, -25, 25, 90])
def test_a_direction_that_is_wrong_is_found_with_and_without_drift(degrees):
    turned = math.radians(degrees)
    for drift in ((0.0, 0.0), (0.1, -0.1)):
        side = f"{abs(degrees)} degrees to the {'left' if degrees > 0 else 'right'}"
        assert side in flown(drift, turned=turned)


def test_straight_back_is_found():
    assert "180 degrees" in flown(turned=math.pi)


def test_a_vehicle_that_does_not_follow_or_does_not_stand_still_is_told():
    assert "reports 0.0" in flown(gain=0.1)
    assert "does not stand still" in flown((0.2, 0.0))
