"""A flight on an autopilot, from connecting to handing over, in simulated time."""

import contextlib

import pytest

from navstack.autopilot.link import Authority, Firmware, LinkConfig
from navstack.autopilot.mavlink import MavlinkLink
from navstack.contract import VelocityCommand
from navstack.envs.faults.rig import VirtualCamera
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, MemoryWire, SitlBody
from navstack.errors import InputError
from navstack.mission import Mission, MissionOptions
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder
from navstack.replay import compare, read_log
from navstack.safety import GuardConfig, guard_for

CARD = OnnxPolicy.load("fly-to-target").card
ZERO = VelocityCommand(0.0, 0.0, 0.0, 0.0)


class Onward:
    """A policy that flies ahead, slowly: what is tried here is the mission."""

    card = CARD

    def __init__(self):
        self.resets = 0

    def reset(self):
        self.resets += 1

    def step(self, image, dt):
        return VelocityCommand(0.3, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def environment():
    made = NavigationEnv(task="FlyToTarget", world="meadow", purpose="evaluate")
    yield made
    made.close()


class Flown:
    """A mission with all that it talks to."""

    def __init__(
        self, environment, firmware=Firmware.PX4, on_ground=False, link=None, policy=None, **options
    ):
        self.body = SitlBody(environment, 5, on_ground)
        self.wire = MemoryWire(self.body.now)
        self.autopilot = EmulatedAutopilot(self.body, firmware, [self.wire.vehicle])
        self.camera = VirtualCamera(self.autopilot)
        self.link = MavlinkLink(self.wire.companion, self.camera, LinkConfig(**(link or {"engage": "self"})))
        self.records, self.policy = [], policy or Onward()
        self.mission = Mission(
            self.link, self.camera, self.camera, self.policy,
            lambda link_loss: guard_for(CARD, GuardConfig(link_loss=link_loss)),
            MissionOptions(**options), self.tell,
        )  # fmt: skip

    def tell(self, record):
        self.records.append(record)
        return ()

    def connected(self):
        self.mission.connect()
        return self

    @property
    def texts(self):
        return [note.text for record in self.records for note in record.notes]


def after(seconds, camera, cause="SIGTERM"):
    """A stop that comes so much later, and a limit for a mission that does not end."""
    due = camera.now() + seconds
    return lambda: cause if camera.now() >= due else None


@pytest.mark.parametrize(
    ("firmware", "hold"), [(Firmware.PX4, "AUTO.LOITER"), (Firmware.ARDUCOPTER, "BRAKE")]
)
def test_a_stop_hands_over_to_hold_and_says_so(environment, firmware, hold):
    flown = Flown(environment, firmware).connected()
    summary = flown.mission.run(after(8.0, flown.camera))
    assert summary.outcome == f"stopped by SIGTERM; handed over: the autopilot is in {hold}"
    assert flown.autopilot.mode_name == hold
    assert summary.flew > 2.0
    assert flown.body.state().speed > 0.0


def test_a_log_of_it_replays_to_the_same_commands_though_policy_and_guard_began_anew(environment, tmp_path):
    policy = OnnxPolicy.load("fly-to-target")
    link = {"engage": "pilot", "self_test": False}
    flown = Flown(environment, link=link, policy=policy).connected()
    flown.mission.begin()
    for pilot in (False, True):
        end = flown.camera.now() + 3.0
        if pilot:
            flown.autopilot.pilot_selects(flown.autopilot.emulation.modes.command)
        while flown.camera.now() < end:
            flown.mission.turn()
    assert flown.mission.summary.engagements == 1
    config = flown.mission.guard.config
    with contextlib.closing(FlightRecorder(tmp_path / "flight.mcap", policy.card, guard=config)) as log:
        for record in flown.records:
            log.write(record)
    found = read_log(tmp_path / "flight.mcap")
    assert [turn.begins for turn in found.turns].count(True) == 1
    engaged = next(number for number, turn in enumerate(found.turns) if turn.begins)
    assert engaged > 40
    whole = compare(found, policy, guard_for(policy.card, config))
    engagement = found.turns[engaged].time - found.turns[0].time
    assert max(most for _, most in whole.policy.values()) < 1e-6
    # The guard's ramp begins with the age of a state, which a log does not hold.
    assert whole.last_difference is None or whole.last_difference < engagement + 0.3


def test_a_dry_run_runs_all_of_it_and_sends_nothing(environment):
    flown = Flown(environment, dry=True, seconds=2.0).connected()
    summary = flown.mission.run(after(20.0, flown.camera))
    assert summary.outcome == "dry run: nothing was sent"
    assert flown.autopilot.setpoints == 0
    assert flown.autopilot.mode_name == "AUTO.LOITER"
    assert max(record.tick.sent.forward for record in flown.records) == pytest.approx(0.3)
    assert summary.loop.frames >= 35


def test_the_pilots_switch_engages_and_only_a_fresh_one_engages_again(environment):
    flown = Flown(environment, link={"engage": "pilot", "self_test": False}).connected()
    flown.mission.begin()
    modes = flown.autopilot.emulation
    resets = flown.policy.resets

    def turn(seconds):
        end = flown.camera.now() + seconds
        while flown.camera.now() < end:
            flown.mission.turn()

    turn(3.0)
    assert flown.link.status().authority is Authority.OFFERED
    assert flown.autopilot.mode_name == "AUTO.LOITER"
    flown.autopilot.pilot_selects(modes.modes.command)
    turn(3.0)
    assert flown.mission.vehicle.engaged
    assert flown.policy.resets == resets + 1  # policy and guard begin anew
    flown.autopilot.pilot_selects(modes.pilot_mode)
    turn(5.0)
    assert not flown.mission.vehicle.engaged
    assert flown.autopilot.mode == modes.pilot_mode  # nobody takes it back
    flown.autopilot.pilot_selects(modes.modes.command)
    turn(3.0)
    assert flown.mission.vehicle.engaged
    assert flown.mission.summary.engagements == 2


@pytest.mark.slow
@pytest.mark.parametrize("firmware", [Firmware.PX4, Firmware.ARDUCOPTER])
def test_from_the_ground_to_the_ground(environment, firmware):
    flown = Flown(
        environment, firmware, True, {"engage": "self", "arm": True}, takeoff=2.0, seconds=3.0, offers=False
    ).connected()
    summary = flown.mission.run(after(90.0, flown.camera, "never"))
    assert summary.outcome == "landed"
    assert flown.body.landed
    assert any("the flight's 3 s are over" in text for text in flown.texts)


def test_what_does_not_come_is_named(environment):
    flown = Flown(environment)
    flown.wire.companion.fault = flown.wire.vehicle.fault = lambda data, now: []
    with pytest.raises(InputError, match="no heartbeat of an autopilot within 30 s"):
        flown.mission.connect()


def test_what_is_unsafe_is_refused_before_anything_is_asked(environment):
    flown = Flown(environment)
    flown.autopilot.parameters["COM_OBL_RC_ACT"].value = 0.0
    flown.connected()
    with pytest.raises(InputError, match="COM_OBL_RC_ACT"):
        flown.mission.run(after(5.0, flown.camera))
    assert flown.autopilot.setpoints == 0


def test_nothing_is_offered_while_the_guard_would_not_fly(environment):
    flown = Flown(environment, link={"engage": "pilot", "self_test": False}).connected()

    def turn(seconds):
        end = flown.camera.now() + seconds
        while flown.camera.now() < end:
            flown.mission.turn()
            yield flown.link.status().authority

    flown.mission.begin()
    flown.autopilot.reported.battery = 0.1
    assert list(turn(5.0))[-1] is Authority.ENDED
    assert set(turn(5.0)) == {Authority.ENDED}
    flown.autopilot.reported.battery = 0.9
    assert list(turn(5.0))[-1] is Authority.OFFERED


def test_an_empty_battery_is_said_before_anything_is_asked(environment):
    flown = Flown(environment)
    flown.autopilot.reported.battery = 0.1
    with pytest.raises(InputError, match="battery is at 10%"):
        flown.connected().mission.begin()


def test_hold_on_the_page_holds_and_then_lands(environment):
    flown = Flown(environment, offers=False).connected()
    flown.mission.begin()
    while not flown.mission.vehicle.engaged:
        flown.mission.turn()
    flown.mission.hold("HOLD on the page")
    end = flown.camera.now() + 2.0
    while flown.camera.now() < end:
        flown.mission.turn()
    assert flown.autopilot.mode_name == "AUTO.LOITER"
    assert any("HOLD on the page" in text for text in flown.texts)
