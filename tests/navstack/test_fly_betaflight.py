"""`navstack fly` on Betaflight: what is refused before anything spins, and how a mission ends."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from navstack.autopilot.link import Authority
from navstack.cli import run
from navstack.contract import Frame, VelocityCommand
from navstack.errors import InputError
from navstack.mission import Mission, MissionOptions
from navstack.policy import read_policy
from navstack.safety import GuardConfig, guard_for

_path = Path(__file__).parent / "autopilot" / "test_betaflight.py"
_spec = importlib.util.spec_from_file_location("betaflight_flight", _path)
assert _spec is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

MSP = ("--autopilot", "msp:tcp:127.0.0.1:1", "--camera", "/dev/video99", "--camera-fov", "80")
SOURCE = ("--velocity", "udpin:127.0.0.1:0")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (MSP, "Betaflight tells no velocity: give --velocity udpin:HOST:PORT"),
        (MSP, "sends MAVLink ODOMETRY"),
        ((*MSP, *SOURCE, "--takeoff", "2"), "the pilot takes off"),
        ((*MSP, *SOURCE, "--engage", "self"), "pilot's override switch only"),
        ((*MSP, *SOURCE, "--after-hold", "return"), "not sent home"),
        (("--autopilot", "udpin:127.0.0.1:0", *MSP[2:], *SOURCE), "--velocity is for msp:"),
        ((*MSP, *SOURCE), "/dev/video99"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)) as raised:
        run(["fly", "fly-to-target", *arguments])
    assert "\n" not in str(raised.value)


class Flown(_module.Flight):
    """A mission on a board: the camera's wait is what makes time go on, and the pilot acts by the clock."""

    def __init__(self, **options):
        super().__init__(self_test=False, hold_seconds=2.0)
        self.card, self.notes = read_policy("fly-to-target").card, []
        self.image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
        self.mission = Mission(
            self.link, self, self, self,
            lambda link_loss: guard_for(self.card, GuardConfig(link_loss=link_loss)),
            MissionOptions(**options), self.tell,
        )  # fmt: skip
        switch = self.board.switch
        self.script = [
            (5.0, lambda: switch(_module.OVERRIDE, True)), (12.0, lambda: switch(_module.OVERRIDE, False)),
            (13.0, lambda: (switch(_module.ANGLE, True), switch(_module.ARM, True))),
            (14.0, self.take_off), (22.0, lambda: switch(_module.OVERRIDE, True)),
        ]  # fmt: skip
        self.began = self.time

    def take_off(self):
        self.board.receiver[_module.THROTTLE], self.position[2] = 1400, 2.2

    def motion(self):
        if self.authority is Authority.LANDING:
            self.position[2] = 0.25
        return super().motion()

    def wait(self, deadline):
        self.time, self.image = deadline, np.roll(self.image, 1)
        while self.script and self.time - self.began >= self.script[0][0]:
            self.script.pop(0)[1]()
        return Frame(self.image, deadline)

    def step(self, image, dt):
        return VelocityCommand(0.3, 0.0, 0.0, 0.0)

    def reset(self):
        pass

    def tell(self, record):
        self.notes += [note.text for note in record.notes]
        return ()

    def stop_after(self, seconds):
        """A stop at this time of the flight, and an end for a mission that has none."""
        return lambda: "SIGTERM" if self.time - self.began >= seconds else None


def test_a_stop_in_flight_is_held_and_landed_by_this_program_until_it_stands():
    flown = Flown()
    flown.mission.connect()
    summary = flown.mission.run(flown.stop_after(26.0))
    assert flown.mission.guard.config.link_loss == 3.0
    assert summary.engagements == 1
    assert summary.outcome == "stopped by SIGTERM; landed"
    assert flown.time - flown.began > 28.0  # the hold, and the ground
    assert flown.board.flown[2] == 1000
    assert any("this program holds and lands it" in note for note in flown.notes)


def test_a_stop_is_over_when_the_pilot_takes_the_vehicle_back():
    flown = Flown()
    flown.mission.connect()
    flown.script.append((27.0, lambda: flown.board.switch(_module.OVERRIDE, False)))
    summary = flown.mission.run(flown.stop_after(26.0))
    assert summary.outcome == "stopped by SIGTERM; the pilot has taken over"


def test_the_guard_lands_a_vehicle_whose_estimate_is_lost_and_the_pilots_disarming_ends_the_mission():
    flown = Flown()
    flown.mission.connect()
    flown.script.append((25.0, lambda: setattr(flown, "sees", False)))
    flown.script.append((30.0, lambda: flown.board.switch(_module.ARM, False)))
    summary = flown.mission.run(flown.stop_after(60.0))
    assert summary.outcome == "landed"
    assert any(note.startswith("land: ") and "estimate: land" in note for note in flown.notes), flown.notes


def test_a_dry_run_asks_and_sends_nothing():
    flown = Flown(dry=True, seconds=8.0)
    flown.mission.connect()
    summary = flown.mission.run()
    assert summary.outcome == "dry run: nothing was sent"
    assert flown.board.sticks == 0


def test_a_source_that_is_silent_is_named():
    flown = Flown()
    flown.sees, flown.complaint = False, "no ODOMETRY has come at udpin:127.0.0.1:14600"
    with pytest.raises(InputError, match=r"velocity of Betaflight 4.6.0 \(no ODOMETRY has come at udpin"):
        flown.mission.connect()
