"""The Betaflight link: looked at on the ground, taken in the air, held and landed by our own loop."""

import importlib.util
from pathlib import Path

import pytest

from navstack.autopilot import msp
from navstack.autopilot.betaflight import BetaflightLink
from navstack.autopilot.link import Authority, LinkConfig, LinkEventKind
from navstack.autopilot.motion import Motion, NoMotion
from navstack.contract import VelocityCommand
from navstack.errors import InputError

_spec = importlib.util.spec_from_file_location("msp_board", Path(__file__).with_name("msp_board.py"))
assert _spec is not None
msp_board = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(msp_board)
ANGLE, ARM, OVERRIDE, THROTTLE = msp_board.ANGLE, msp_board.ARM, msp_board.OVERRIDE, msp_board.THROTTLE
MspBoard = msp_board.MspBoard
STILL = VelocityCommand(0.0, 0.0, 0.0, 0.0)


class Beats:
    """What a watchdog is told."""

    def __init__(self):
        self.told, self.left, self.alive = [], "", True

    def beat(self, throttle, watching):
        self.told.append((throttle, watching))

    def abandon(self):
        self.left = "abandoned"

    def close(self):
        self.left = "closed"


class Flight:
    """Board, link, source and clock in one: a vehicle that moves as it is told to by the test."""

    name = "a source"

    def __init__(self, mask=(0, 1, 2, 3), **config):
        self.time, self.board, self.watchdog = 100.0, MspBoard(mask), Beats()
        self.position, self.velocity = [5.0, 6.0, 0.2], (0.0, 0.0, 0.0)
        self.sees, self.complaint, self.newest, self.events = True, "", None, []
        self.link = BetaflightLink(self.board, self, LinkConfig(**config), self, self.watchdog)

    def now(self):
        return self.time

    def motion(self):
        if self.sees:
            self.newest = Motion(self.time, tuple(self.position), self.velocity, 0.5)
        return self.newest

    def close(self):
        self.sees = False

    @property
    def authority(self):
        return self.link.status().authority

    def run(self, seconds, command=STILL):
        for _ in range(round(seconds * 50)):
            self.time += 0.02
            self.events += self.link.poll()
            self.link.send(command)
        return self

    def causes(self, kind):
        return [event.cause for event in self.events if event.kind is kind]

    def offered(self):
        """Offered on the ground, and the mask looked at."""
        self.run(1.0).link.engage()
        self.board.switch(OVERRIDE, True)
        self.run(4.0).board.switch(OVERRIDE, False)
        return self.run(0.5)

    def in_the_air(self):
        self.offered().board.switch(ANGLE, True)
        self.board.switch(ARM, True)
        self.board.receiver[THROTTLE] = 1400
        self.run(1.0).position[2] = 2.2
        return self.run(1.0)

    def held(self):
        self.in_the_air().board.switch(OVERRIDE, True)
        return self.run(1.0)


def test_the_ground_shows_the_mask_and_only_the_switch_in_the_air_engages():
    flight = Flight(self_test=False).offered()
    assert flight.link.follow == {0, 1, 2, 3}
    assert flight.authority is Authority.OFFERED
    assert flight.link.status().home_enu == (5.0, 6.0, 0.2)
    probed = flight.board.sticks
    flight.run(2.0)
    assert flight.board.sticks == probed  # a disarmed vehicle is sent nothing more
    flight.in_the_air()
    assert (flight.authority, flight.board.flown[2]) == (Authority.OFFERED, 1400)
    flight.board.switch(OVERRIDE, True)
    flight.run(1.0, VelocityCommand(0.5, 0.0, 0.0, 0.0))
    assert flight.authority is Authority.HELD
    assert flight.board.flown[1] > 1520  # nose down, forward
    assert flight.watchdog.told[-1][1] is True


def test_the_self_test_comes_first_and_a_vehicle_that_does_not_obey_is_held():
    flight = Flight().held()
    assert flight.authority is Authority.TESTING
    flight.run(3.0)
    assert flight.authority is Authority.HOLDING
    assert "self-test failed" in flight.causes(LinkEventKind.HOLD)[0]


@pytest.mark.parametrize(("mask", "found"), [((0, 1, 2, 3, 4), "[0, 1, 2, 3, 4]"), ((0, 1, 2), "[0, 1, 3]")])
def test_a_mask_that_moves_a_switch_or_misses_a_stick_is_refused(mask, found):
    flight = Flight(mask).run(1.0)
    flight.link.engage()
    flight.board.switch(OVERRIDE, True)
    flight.run(4.0)
    assert flight.authority is Authority.NONE
    assert found in flight.causes(LinkEventKind.REFUSED)[0]
    assert "msp_override_channels_mask = 15" in flight.causes(LinkEventKind.REFUSED)[0]
    flight.board.mask = {0, 1, 2, 3}  # mended: it is looked at again
    flight.link.engage()
    flight.run(4.0)
    assert (flight.authority, flight.link.follow) == (Authority.OFFERED, {0, 1, 2, 3})


def test_who_arms_before_the_mask_was_looked_at_is_not_flown():
    flight = Flight().run(1.0)
    flight.link.engage()
    flight.board.switch(ARM, True)
    flight.run(0.5)
    assert flight.authority is Authority.NONE
    assert flight.board.sticks == 0
    with pytest.raises(InputError, match="land and disarm"):
        flight.link.engage()


@pytest.mark.parametrize("wrong", ["on the ground", "ANGLE", "estimate"])
def test_a_switch_at_the_wrong_moment_is_not_taken_and_has_to_be_thrown_again(wrong):
    flight = Flight(self_test=False).in_the_air()
    if wrong == "on the ground":
        flight.position[2] = 0.3
    elif wrong == "ANGLE":
        flight.board.switch(ANGLE, False)
    else:
        flight.complaint = "the estimate has failed"
    flight.run(0.5).board.switch(OVERRIDE, True)
    flight.run(1.0)
    assert flight.authority is Authority.OFFERED
    (cause,) = flight.causes(LinkEventKind.REFUSED)
    assert wrong in cause
    assert flight.board.flown[2] == 1400  # the pilot's throttle goes on
    flight.position[2], flight.complaint = 2.2, ""
    flight.board.switch(ANGLE, True)
    flight.run(1.0)
    assert flight.authority is Authority.OFFERED
    flight.board.switch(OVERRIDE, False)
    flight.run(0.5).board.switch(OVERRIDE, True)
    assert flight.run(0.5).authority is Authority.HELD


def test_a_lost_estimate_levels_the_sticks_and_sinks():
    flight = Flight(self_test=False).held()
    flight.sees = False
    flight.run(0.6, VelocityCommand(1.0, 0.0, 0.0, 0.0))
    assert flight.board.flown[:2] == [1500, 1500]
    assert flight.board.flown[2] == pytest.approx(1000 + 0.95 * 400, abs=1)
    assert flight.link.status().estimate.velocity_age > 0.3


def test_a_hold_lands_by_our_own_loop_and_the_watchdog_rests_when_it_stands():
    flight = Flight(self_test=False, hold_seconds=2.0).held()
    flight.link.hold("asked")
    assert flight.run(1.0).authority is Authority.HOLDING
    assert flight.run(2.0).authority is Authority.LANDING
    flight.position[2] = 0.25
    flight.run(3.0)
    assert flight.causes(LinkEventKind.LANDED)
    assert flight.board.flown[2] == 1000
    flight.link.close()
    assert flight.watchdog.left == "closed"


def test_a_link_that_is_closed_or_released_in_flight_leaves_the_vehicle_to_the_watchdog():
    flight = Flight(self_test=False).held()
    flight.link.release("a fault")
    assert flight.watchdog.told[-1][1] is True
    flight.link.close()
    assert flight.watchdog.left == "abandoned"


@pytest.mark.parametrize("channel", [OVERRIDE, ARM, ANGLE])
def test_the_pilots_switches_end_authority_and_the_watch(channel):
    flight = Flight(self_test=False).held()
    flight.board.switch(channel, False)
    flight.run(0.5)
    assert flight.authority is Authority.ENDED
    assert flight.watchdog.told[-1][1] is False
    sent = flight.board.sticks
    assert flight.run(1.0).board.sticks == sent


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda board: setattr(board, "failsafe", 40), "failsafe is drop after 4 s"),
        (lambda board: setattr(board, "arming", 1 << 23), "NO_ACC_CAL"),
        (lambda board: setattr(board, "charge", 2), "critical"),
    ],
)
def test_what_makes_a_board_unfit_is_refused_by_name(change, what):
    flight = Flight()
    change(flight.board)
    flight.run(1.0)
    with pytest.raises(InputError, match=what):
        flight.link.engage()


def test_without_a_source_the_board_is_looked_at_and_not_flown():
    board = MspBoard()
    flight = Flight()
    link = BetaflightLink(board, flight, None, NoMotion(), flight.watchdog)
    for _ in range(250):
        flight.time += 0.02
        link.poll()
    (estimate,) = (f for f in link.preflight() if f.what == "estimate")
    assert (estimate.ok, "--velocity" in estimate.found) == (False, True)
    assert link.status().battery.remaining == pytest.approx(0.5)
    with pytest.raises(InputError, match="no source of velocity"):
        link.engage()
    with pytest.raises(InputError, match="have not come"):
        link.state()


@pytest.mark.parametrize(
    ("count", "flags", "names"),
    [
        (29, 1 << 28, ("ARM_SWITCH",)),
        (26, 1 << 25 | 1, ("NOGYRO", "ARM_SWITCH")),
        (33, 1 << 30, ("flag 30",)),
        (0, 0xFFFFFFFF, ()),
    ],
)
def test_obstacles_to_arming_are_named_whatever_the_version_counts(count, flags, names):
    assert msp.arming_obstacles(count, flags) == names
