"""A program: one flight through the Betaflight firmware, what was seen as JSON on the last line.

Run in a network namespace by test_betaflight.py: betaflight_program.py (policy|dead-loop|override) FOLDER
"""

import json
import math
import sys
from pathlib import Path

from navstack.child import die_with_parent
from navstack.contract import VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.betaflight import OFF, OVERRIDE, BetaflightProcess
from navstack.envs.sitl.betaflight_flight import FirmwareFlight, fly_policy
from navstack.errors import InputError
from navstack.policy import OnnxPolicy

FORWARD = VelocityCommand(0.8, 0.0, 0.0, 0.0)


def policy(environment):
    flight, _ = fly_policy(OnnxPolicy.load("fly-to-target"), environment, 1)
    seen = {
        "outcome": flight.body.outcome, "seconds": flight.body.task_seconds,
        "follow": sorted(flight.link.follow), "firmware": str(flight.link.status().identity),
    }  # fmt: skip
    return flight, seen


def forward(environment):
    flight = FirmwareFlight.begin(environment, 1)
    flight.engage()
    for _ in range(30):
        flight.send(FORWARD)
        flight.body.fly(0.05)
    return flight


def dead_loop(environment):
    flight = forward(environment)
    before = flight.body.motion().velocity_level[0]
    flight.body.silence()
    flight.body.fly(1.2)
    x, y, _, w = flight.body.state().orientation
    motion = flight.body.motion()
    return flight, {
        "speed_before": before, "speed_forward": motion.velocity_level[0], "climb": motion.velocity_enu[2],
        "lean_degrees": math.degrees(2.0 * math.asin(min(1.0, math.hypot(x, y)))), "w": w,
    }  # fmt: skip


def override(environment):
    flight = forward(environment)
    flight.body.channels[OVERRIDE] = OFF
    flight.body.fly(1.0)
    return flight, {"authority": str(flight.link.status().authority), "cause": flight.events[-1].cause}


FLIGHTS = {"policy": policy, "dead-loop": dead_loop, "override": override}


def main():
    die_with_parent()  # or the firmware would outlive tests that are killed
    try:
        process = BetaflightProcess(Path(sys.argv[2]))
    except RuntimeError as error:  # it did not even start in time
        print(json.dumps({"void": True, "why": str(error)}))
        return
    try:
        environment = NavigationEnv(world="park", purpose="dev")
        try:
            flight, seen = FLIGHTS[sys.argv[1]](environment)
        except InputError as error:  # the firmware was too slow for its own self-test
            print(json.dumps({"void": True, "why": str(error)}))
            return
        print(json.dumps({**seen, "void": bool(flight.void), "why": flight.void}))
        flight.close()
    finally:
        process.stop()


if __name__ == "__main__":
    main()
