"""Each rule of the guard: when it acts, what it does, and whether it recovers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import Frame, Limits, VehicleState, VelocityCommand
from navstack.policy import OnnxPolicy
from navstack.safety import Demand, Guard, GuardConfig, VehicleHealth, guard_for
from navstack.safety.blank import is_blank
from navstack.safety.rule import Lasting

STEP = 0.05  # s
CRUISE = VelocityCommand(0.8, 0.0, 0.0, 0.0)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (64, 96, 3), dtype=np.uint8)
FINE = VehicleHealth(battery=0.9)


def state(time, position=(0.0, 0.0, 2.0), velocity=(0.8, 0.0, 0.0), yaw=0.0, turning=0.0):
    orientation = (0.0, 0.0, math.sin(0.5 * yaw), math.cos(0.5 * yaw))
    return VehicleState(time, position, velocity, orientation, (0.0, 0.0, turning))


class Flight:
    """Turns of a guard at 20 Hz, one after another."""

    def __init__(self, **config):
        self.guard, self.number = Guard(GuardConfig(**config)), 0
        self.guard.reset(state(0.0))
        self.events = []

    def turn(self, seconds=STEP, command=CRUISE, picture=None, health=FINE, age=0.0, doubt=None, **there):
        """The decision after so many seconds of the same."""
        for _ in range(max(1, round(seconds / STEP))):
            self.number += 1
            now = STEP * self.number
            image = self.noise() if picture is None else picture
            decision = self.guard.apply(
                command, age, state(now, **there), now,
                frame=Frame(image, now), health=health, uncertainty=doubt,
            )  # fmt: skip
            self.events += [(event.rule, event.action) for event in decision.events]
        return decision

    def noise(self):
        return np.roll(PICTURE, self.number, axis=1)

    def at(self, rule):
        """What this rule is doing."""
        return self.guard.actions.get(rule, "")


def test_nothing_wrong_nothing_done():
    flight = Flight()
    decision = flight.turn(20.0)
    assert decision.command.forward == pytest.approx(0.8)
    assert decision.demand is Demand.FLY
    assert {rule for rule, _ in flight.events} == {"rates"}


def test_frozen_frames_hover_until_one_differs_and_hold_if_none_does():
    flight = Flight()
    flight.turn(1.0)
    assert flight.turn(0.3, picture=PICTURE).command.forward > 0.0  # 300 ms begin with the first of them
    assert flight.turn(0.05, picture=PICTURE).demand is Demand.FLY
    assert flight.at("frozen frames") == "hover"
    flight.turn(velocity=(0.0, 0.0, 0.0), picture=PICTURE)
    assert flight.at("frozen frames") == "hover"  # standing still now is no recovery
    flight.turn()
    assert flight.at("frozen frames") == ""
    assert flight.turn(11.0, picture=PICTURE).demand is Demand.HOLD
    assert flight.turn(5.0).demand is Demand.HOLD


def test_frames_that_are_alike_are_no_fault_of_a_vehicle_that_stands():
    flight = Flight()
    flight.turn(5.0, picture=PICTURE, velocity=(0.0, 0.0, 0.0))
    assert flight.at("frozen frames") == ""


def test_a_camera_that_compares_at_full_resolution_is_believed():
    guard = Guard(GuardConfig())
    guard.reset(state(0.0))
    for number in range(1, 20):
        now = STEP * number
        guard.apply(CRUISE, 0.0, state(now), now, frame=Frame(PICTURE, now, repeated=False))
    assert guard.actions == {}


@pytest.mark.parametrize("value", [0, 255])
def test_blank_frames_hover_after_300_ms_and_recover_with_pictures(value):
    flight, blank = Flight(), np.full((64, 96, 3), value, np.uint8)
    flight.turn(1.0)
    flight.turn(0.3, picture=blank, velocity=(0.0, 0.0, 0.0))
    assert flight.at("blank frames") == ""
    flight.turn(0.05, picture=blank, velocity=(0.0, 0.0, 0.0))
    assert flight.at("blank frames") == "hover"
    flight.turn(0.4)
    assert flight.at("blank frames") == ""
    assert flight.turn(11.0, picture=blank).demand is Demand.HOLD


colour = st.tuples(*[st.integers(0, 255)] * 3).filter(lambda c: max(c) > 14 and min(c) < 248)


@given(colour)
def test_a_view_filled_by_one_near_object_is_not_blank(colour):
    assert not is_blank(np.broadcast_to(np.array(colour, np.uint8), (64, 96, 3)))


@given(st.sampled_from([0, 255]), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_a_few_odd_pixels_do_not_hide_a_blank_picture(value, odd, seed):
    picture, rng = np.full((64, 96, 3), value, np.uint8), np.random.default_rng(seed)
    picture[rng.integers(0, 64, odd), rng.integers(0, 96, odd)] = rng.integers(0, 256, (odd, 3))
    assert is_blank(picture)


def test_uncertainty_scales_then_hovers_then_holds():
    flight = Flight()
    flight.turn(2.0, doubt=0.4)
    assert flight.turn(2.0, doubt=0.75).command.forward == pytest.approx(0.4)
    assert flight.turn(2.0, doubt=math.nan).command.forward == pytest.approx(0.0)
    assert flight.turn(2.0, doubt=0.1).command.forward == pytest.approx(0.8)
    assert flight.turn(11.0, doubt=1.0).demand is Demand.HOLD


def test_old_frames_become_a_hold():
    flight = Flight()
    assert flight.turn(2.0, age=5.0).demand is Demand.FLY
    assert flight.turn(age=11.5).demand is Demand.HOLD
    assert flight.turn(2.0).demand is Demand.HOLD


@pytest.mark.parametrize(
    "bad",
    [
        {"health": VehicleHealth(estimate_ok=False)},
        {"health": VehicleHealth(state_age=0.35)},
        {"health": VehicleHealth(state_age=math.nan)},
        {"velocity": (math.nan, 0.0, 0.0)},
    ],
)
def test_a_lost_estimate_is_zero_at_once_and_landing_after_a_second(bad):
    flight = Flight()
    flight.turn(2.0)
    decision = flight.turn(**bad)
    assert (decision.command, decision.demand) == (VelocityCommand(0.0, 0.0, 0.0, 0.0), Demand.FLY)
    assert flight.turn(1.0).demand is Demand.FLY  # it came back
    assert flight.at("estimate") == ""
    assert flight.turn(1.1, **bad).demand is Demand.LAND
    assert flight.turn(5.0).demand is Demand.LAND


@pytest.mark.parametrize("there", [{"position": (2.5, 0.0, 2.0)}, {"yaw": 1.0}])
def test_an_estimate_that_jumped_is_not_believed_again(there):
    flight = Flight()
    flight.turn(2.0, velocity=(0.0, 0.0, 0.0), command=VelocityCommand(0.0, 0.0, 0.0, 0.0))
    decision = flight.turn(**there)
    assert decision.command == VelocityCommand(0.0, 0.0, 0.0, 0.0)
    assert flight.at("estimate") == "hover"
    assert flight.turn(1.1, **there).demand is Demand.LAND


def test_a_jump_across_the_fence_does_not_send_the_vehicle_back_in():
    flight = Flight(fence=20.0)
    flight.turn(1.0)
    assert flight.turn(position=(35.0, 0.0, 2.0)).command == VelocityCommand(0.0, 0.0, 0.0, 0.0)


def test_a_vehicle_that_flies_elsewhere_than_told_is_stopped_and_landed():
    flight = Flight()
    flight.turn(2.0, velocity=(0.6, 0.1, 0.0))
    flight.turn(4.0, velocity=(0.0, 0.8, 0.0))
    assert ("following", "hover") in flight.events
    assert flight.turn().demand is Demand.LAND


def test_a_battery_that_sags_is_no_alarm_and_an_empty_one_lands():
    flight = Flight()
    assert flight.turn(2.9, health=VehicleHealth(battery=0.1)).demand is Demand.FLY
    assert flight.turn(1.0, health=VehicleHealth(battery=0.6)).demand is Demand.FLY
    assert flight.turn(3.2, health=VehicleHealth(battery=0.2)).demand is Demand.HOLD
    assert flight.turn(3.2, health=VehicleHealth(battery=0.1)).demand is Demand.LAND
    assert flight.turn(9.0, health=VehicleHealth(battery=0.9)).demand is Demand.LAND


def test_too_far_from_home_holds():
    flight = Flight(fence=1000.0, farthest=100.0)
    assert flight.turn(1.0, position=(99.0, 0.0, 2.0)).demand is Demand.FLY
    assert flight.turn(0.6, position=(101.0, 0.0, 2.0)).demand is Demand.HOLD


def test_a_lossy_link_halves_a_silent_one_hovers_then_holds():
    flight = Flight()
    flight.turn(2.0)
    assert flight.turn(2.0, health=VehicleHealth(lost_messages=0.4)).command.forward == pytest.approx(0.4)
    flight.turn(2.0)
    assert flight.turn(1.0, health=VehicleHealth(silence=0.6)).command.forward < 0.1
    assert flight.at("link quality") == "hover"
    flight.turn(1.2)
    assert flight.at("link quality") == ""
    assert flight.turn(health=VehicleHealth(heartbeat_age=3.1)).demand is Demand.HOLD


def test_the_pilot_has_the_last_word_and_keeps_it():
    flight = Flight()
    flight.turn(2.0)
    decision = flight.turn(health=VehicleHealth(in_command=False, estimate_ok=False))
    assert (decision.command, decision.demand) == (VelocityCommand(0.0, 0.0, 0.0, 0.0), Demand.HAND_OVER)
    assert flight.turn(9.0).demand is Demand.HAND_OVER


def test_outside_and_not_coming_back_holds():
    flight = Flight(fence=20.0)
    assert flight.turn(3.0, position=(21.0, 0.0, 2.0)).demand is Demand.FLY
    for number in range(40):  # coming back, slowly
        assert flight.turn(0.5, position=(21.0 - 0.02 * number, 0.0, 2.0)).demand is Demand.FLY
    assert flight.turn(6.0, position=(20.2, 0.0, 2.0)).demand is Demand.HOLD


def test_a_flights_own_limits_narrow_the_cards_and_never_widen_them():
    card = OnnxPolicy.load("fly-to-target").card
    narrow = guard_for(card, limits=Limits(1.0, 9.0, 0.5, 0.5)).config.limits
    assert narrow == Limits(1.0, card.limits.left, 0.5, 0.5)


@given(st.lists(st.booleans(), max_size=80))
def test_a_lasting_condition_begins_and_ends_only_after_its_times(readings):
    lasting, run, before = Lasting(0.3, 0.2), 0, None
    for number, reading in enumerate(readings):
        run = run + 1 if reading == before else 1
        before = reading
        counted = lasting.began is not None
        now_counts = lasting.update(reading, 0.1 * number) is not None
        if now_counts != counted:
            assert now_counts == reading
            assert run - 1 >= (3 if reading else 2)
