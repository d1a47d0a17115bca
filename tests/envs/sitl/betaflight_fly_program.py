"""A program: `navstack fly` as a process on the real Betaflight, what was seen as JSON on the last line.

Run in a network namespace by test_betaflight.py: betaflight_fly_program.py (target|stop|kill|estimate) FOLDER
"""

import json
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path

from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.betaflight import MSP_PORT, BetaflightProcess
from navstack.envs.sitl.betaflight_vehicle import BetaflightVehicle

SEED = 1
OPTIONS = ("--floor", "0.8", "--speed", "1.5", "--fence", "40")


class Companion:
    """The process, and all that it has said."""

    def __init__(self, folder, *options):
        command = [
            sys.executable, "-m", "navstack", "fly", "fly-to-target",
            "--autopilot", f"msp:tcp:127.0.0.1:{MSP_PORT}", "--velocity", "udpin:127.0.0.1:14600",
            "--camera", "http://127.0.0.1:8080/camera", "--camera-fov", "80",
            "--json", str(folder / "flight.json"), "--log", str(folder / "flight.mcap"), *OPTIONS, *options,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self._queue = [], queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._queue.put(line.rstrip())

    def said(self, text):
        while not self._queue.empty():
            self.lines.append(self._queue.get())
        return any(text in line for line in self.lines)

    def ended(self):
        return self.process.poll() is not None


class VoidError(Exception):
    """The machine was too busy for a firmware in real time."""


def engage(vehicle, companion):
    """What the pilot does, who hears what the companion says, until it flies."""

    def hear(text, seconds):
        if not vehicle.until(lambda: companion.said(text) or companion.ended(), seconds) or companion.ended():
            companion.said("")
            raise VoidError(f"'{text}' was not heard: {companion.lines[-6:]}")

    hear("ready:", 60.0)
    hear("on the ground, disarmed, for a look at its mask", 20.0)
    vehicle.switch_override(True)
    hear("its mask is right", 20.0)
    vehicle.switch_override(False)
    vehicle.fly(1.0)
    start = 1.8
    vehicle.take_off(start)
    above = lambda: vehicle.body.simulator.above_ground(vehicle.body.simulator.vehicle.position)[2]  # noqa: E731
    if not vehicle.until(lambda: abs(above() - start) < 0.2, 15.0):
        raise VoidError(f"it did not take off: {above():.1f} m, {companion.lines[-6:]}")
    vehicle.fly(2.0)
    for _ in range(5):
        vehicle.switch_override(True)
        if vehicle.until(lambda: companion.said("self-test passed"), 8.0):
            vehicle.body.begin_task()
            return
        vehicle.switch_override(False)
        vehicle.fly(4.0)
    companion.said("")
    raise VoidError(f"not engaged: {companion.lines[-8:]}")


def target(vehicle, companion):
    vehicle.until(lambda: vehicle.body.outcome is not None, 60.0)
    outcome, seconds = vehicle.body.outcome, vehicle.body.task_seconds
    if companion.said("estimate: hover"):  # the firmware answered too late: nobody lost the estimate
        raise VoidError("the firmware's attitude came over 0.3 s late")
    vehicle.switch_override(False)
    vehicle.until(lambda: companion.said("no longer in command"), 3.0)
    vehicle.disarm()
    vehicle.until(companion.ended, 15.0)
    return {"outcome": outcome, "seconds": seconds}


def stop(vehicle, companion):
    vehicle.fly(2.0)
    companion.process.send_signal(signal.SIGTERM)
    landed = vehicle.until(companion.ended, 80.0)  # on a busy machine it climbs before it sinks
    return {"ended": landed, "on_ground": vehicle.body.on_stand, "outcome": vehicle.body.outcome}


def kill(vehicle, companion):
    vehicle.fly(2.0)
    companion.process.kill()
    vehicle.fly(1.2)
    state = vehicle.body.state()
    return {"climb": state.velocity_enu[2]}


def estimate(vehicle, companion):
    vehicle.fly(2.0)
    vehicle.estimator.silent = True
    heard = vehicle.until(lambda: companion.said("estimate: hover"), 1.0)
    landing = vehicle.until(lambda: companion.said("land: "), 3.0)
    climb = vehicle.body.state().velocity_enu[2]
    vehicle.switch_override(False)
    vehicle.until(lambda: companion.said("the pilot's override switch"), 3.0)
    vehicle.disarm()
    vehicle.until(companion.ended, 15.0)
    return {"heard": heard, "landing": landing, "climb": climb}


FLIGHTS = {"target": target, "stop": stop, "kill": kill, "estimate": estimate}


def main():
    folder = Path(sys.argv[2])
    for name in ("flight.json", "flight.mcap"):
        (folder / name).unlink(missing_ok=True)
    try:
        process = BetaflightProcess(folder)
    except RuntimeError as error:
        print(json.dumps({"void": True, "why": str(error)}))
        return
    companion = vehicle = None
    try:
        vehicle = BetaflightVehicle(NavigationEnv(world="park", purpose="dev"), SEED)
        vehicle.fly(1.0)
        companion = Companion(folder)
        engage(vehicle, companion)
        vehicle.body.late = 0
        seen = FLIGHTS[sys.argv[1]](vehicle, companion)
        if companion.ended():
            seen["code"] = companion.process.wait()
        companion.said("")
        why = f"{vehicle.body.late} physics steps came late" if vehicle.body.late > 10 else ""
        print(json.dumps({**seen, "said": companion.lines, "void": bool(why), "why": why}))
    except VoidError as error:
        print(json.dumps({"void": True, "why": str(error)}))
    finally:
        if companion is not None and not companion.ended():
            companion.process.kill()
        if vehicle is not None:
            vehicle.close()
        process.stop()


if __name__ == "__main__":
    main()
