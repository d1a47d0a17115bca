"""What `navstack sitl` does with its arguments."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from navstack.autopilot.link import Firmware
from navstack.autopilot.transport import open_transport
from navstack.envs.commands.sitl import Sitl
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.autopilot import STEP, EmulatedAutopilot
from navstack.envs.sitl.body import SitlBody
from navstack.envs.sitl.camera import CameraServer
from navstack.envs.sitl.rules import EMULATIONS, UNSAFE
from navstack.errors import InputError, nearest
from navstack.results import SUCCESS
from navstack.timing import FrameTiming

FIRMWARES = {"px4": Firmware.PX4, "arducopter": Firmware.ARDUCOPTER}
PILOT_WAITS = 2.0  # s of streaming setpoints after which the emulated pilot switches
BEHIND = 0.5  # s behind the wall clock that is given up instead of caught up with
ANSWER = 1.0  # s (wall clock) that lock-step waits for a setpoint
STREAMING = 0.5  # s since the last setpoint in which the companion counts as flying


def run(arguments: Sitl) -> int:
    """Fly until interrupted, or with `--once` until the task is decided: 0 for success, 1 otherwise."""
    firmware = FIRMWARES[arguments.autopilot]
    parameters = _parameters(arguments, firmware)
    if not 0.0 < arguments.speed <= 100.0:
        raise InputError(f"--speed is {arguments.speed:g}; it must be above 0 and at most 100")
    environment = NavigationEnv(
        arguments.env, arguments.world, purpose="evaluate", timing=FrameTiming(rate_hz=arguments.rate),
        camera=bool(arguments.camera),
    )  # fmt: skip
    transports = [open_transport(address) for address in arguments.mavlink]
    camera = _camera(arguments.camera)
    body = SitlBody(environment, arguments.seed, arguments.ground)
    autopilot = EmulatedAutopilot(body, firmware, transports, parameters, arguments.system_id)
    print(f"EMULATED {firmware}, system {arguments.system_id}: {', '.join(arguments.mavlink)}", flush=True)
    if camera is not None:
        spec = body.camera
        print(f"camera: {camera.url}, {spec.width} x {spec.height} at {arguments.rate:g} Hz", flush=True)
    try:
        _Session(arguments, autopilot, camera).fly()
    finally:
        if camera is not None:
            camera.close()
        for transport in transports:
            transport.close()
        environment.close()
    if body.outcome is not None:
        print(f"{body.outcome} after {body.task_seconds or 0.0:.1f} s of the task")
    return 0 if not arguments.once or body.outcome == SUCCESS else 1


class _Session:
    """Keeps pace, shows frames, plays the pilot, and says what happens."""

    def __init__(self, arguments: Sitl, autopilot: EmulatedAutopilot, camera: CameraServer | None) -> None:
        self.arguments, self.autopilot, self.camera = arguments, autopilot, camera
        self._told = 0
        self._switched = False

    def fly(self) -> None:
        autopilot, speed = self.autopilot, self.arguments.speed
        body, started = autopilot.body, time.perf_counter()
        while not self._over():
            frames = autopilot.step()
            for frame in frames if self.camera is not None else ():
                age = (body.now() - frame.capture_time) / speed
                self.camera.show(frame.image, time.time() - age)  # type: ignore[union-attr]
            if frames and self.arguments.lock_step:
                self._wait_for_companion()
            if self.arguments.pilot:
                self._pilot()
            self._tell()
            ahead = body.now() / speed - (time.perf_counter() - started)
            if ahead > 0.0:
                time.sleep(ahead)
            elif ahead < -BEHIND:
                started -= ahead
        self._tell()

    def _over(self) -> bool:
        body, limit = self.autopilot.body, self.arguments.seconds
        decided = self.arguments.once and body.outcome is not None
        return decided or (limit > 0.0 and body.now() >= limit)

    def _wait_for_companion(self) -> None:
        """Let the next setpoint come before time goes on, while a companion flies."""
        autopilot, deadline = self.autopilot, time.perf_counter() + ANSWER
        before = autopilot.setpoints
        while autopilot.setpoints == before and time.perf_counter() < deadline:
            if autopilot.body.now() - autopilot.setpoint_time > STREAMING:
                return
            autopilot.listen()
            time.sleep(STEP / 20.0)

    def _pilot(self) -> None:
        """The emulated pilot selects the command mode once, when setpoints have streamed for a while."""
        autopilot = self.autopilot
        waited = autopilot.body.now() - autopilot.first_setpoint
        if not self._switched and waited >= PILOT_WAITS and not autopilot.body.landed:
            self._switched = True
            autopilot.pilot_selects(autopilot.emulation.modes.command)

    def _tell(self) -> None:
        for when, text in self.autopilot.log[self._told :]:
            print(f"{when:8.2f} s  {text}", flush=True)
        self._told = len(self.autopilot.log)


def _camera(url: str) -> CameraServer | None:
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise InputError(f"--camera is '{url}'; it must be like http://127.0.0.1:8080, or empty for none")
    return CameraServer(parts.hostname, parts.port)


def _parameters(arguments: Sitl, firmware: Firmware) -> dict[str, float]:
    known = EMULATIONS[firmware].parameters
    values = dict(UNSAFE[firmware]) if arguments.unsafe else {}
    for text in arguments.set:
        name, _, value = text.partition("=")
        if name not in known:
            raise InputError(f"--set {text}: no parameter '{name}'{nearest(name, known)}")
        try:
            values[name] = float(value)
        except ValueError:
            raise InputError(f"--set {text}: it must be NAME=NUMBER") from None
    return values
