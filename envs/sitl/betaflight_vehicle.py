"""The real Betaflight as a vehicle for `navstack fly`: firmware, physics, camera, estimator and pilot.

A companion computer finds what it finds on a small quadrotor: the firmware's MSP port, a camera over HTTP,
an estimator that sends ODOMETRY over UDP (the truth, as visual-inertial odometry would tell it), and a pilot
with the receiver's switches.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable

from pymavlink.dialects.v20 import common

from navstack.autopilot.mavlink.frames import enu_to_ned, euler_from_orientation, flu_to_frd
from navstack.contract import VehicleState
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.betaflight import ANGLE, ARM, OFF, ON, OVERRIDE, BetaflightBody
from navstack.envs.sitl.camera import CameraServer
from navstack.envs.vehicle.dynamics import rotation_matrix, to_body

THROTTLE = 2  # channel
ODOMETRY_PERIOD = 1.0 / 30.0  # s
COMPONENT = common.MAV_COMP_ID_VISUAL_INERTIAL_ODOMETRY
STEP = 0.025  # s between two looks at pilot and camera
_UNKNOWN = [math.nan] * 21


class TruthEstimator:
    """Sends a state as an estimator does: pose in LOCAL_NED, velocity in BODY_FRD."""

    def __init__(self, port: int) -> None:
        self._out, self._to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ("127.0.0.1", port)
        self._mav = common.MAVLink(None, srcSystem=1, srcComponent=COMPONENT)
        self.silent = False

    def tell(self, state: VehicleState) -> None:
        """One message, stamped by the machine's clock: the simulation's stands where the machine is busy."""
        if self.silent:
            return
        north, east, down = enu_to_ned(state.position_enu)
        velocity = flu_to_frd(to_body(rotation_matrix(state.orientation), state.velocity_enu))
        rates = flu_to_frd(state.angular_velocity_flu)
        message = common.MAVLink_odometry_message(
            time.monotonic_ns() // 1000, common.MAV_FRAME_LOCAL_NED, common.MAV_FRAME_BODY_FRD,
            north, east, down, _quaternion(*euler_from_orientation(state.orientation)), *velocity, *rates,
            _UNKNOWN, _UNKNOWN, 0, common.MAV_ESTIMATOR_TYPE_VIO, 100,
        )  # fmt: skip
        self._out.sendto(message.pack(self._mav), self._to)

    def close(self) -> None:
        """Close the socket."""
        self._out.close()


def _quaternion(roll: float, pitch: float, yaw: float) -> list[float]:
    """w, x, y, z of the rotation from FRD to NED."""
    cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    return [
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    ]  # fmt: skip


class BetaflightVehicle:
    """The vehicle, standing on the ground below the task's start; `fly` makes time go on, at its real pace.

    Args:
        environment: whose world, camera and task they are.
        seed: of the exact world.
        camera_port: of the camera's HTTP server on 127.0.0.1.
        odometry_port: UDP port on 127.0.0.1 that the estimator sends to.
    """

    def __init__(
        self, environment: NavigationEnv, seed: int, camera_port: int = 8080, odometry_port: int = 14600
    ) -> None:
        self.camera = CameraServer("127.0.0.1", camera_port)
        self.estimator = TruthEstimator(odometry_port)
        self._told = -math.inf
        self._height: float | None = None  # m above the ground that the pilot flies by hand
        self.body = BetaflightBody(environment, seed, self._between, on_ground=True)

    def _between(self) -> None:
        now = self.body.now()
        if now - self._told >= ODOMETRY_PERIOD:
            self._told = now
            self.estimator.tell(self.body.state())
        if self._height is not None:
            self._throttle(self._height)

    def _throttle(self, height: float) -> None:
        """By hand and eye: more throttle below the height, less while climbing."""
        body = self.body
        above = body.simulator.above_ground(body.simulator.vehicle.position)[2]
        climb = max(-0.6, min(0.8, 1.2 * (height - above)))
        share = 0.12 * (climb - body.simulator.vehicle.velocity[2])
        throttle = max(0.0, min(0.8, body.hover_throttle + share))
        body.channels[THROTTLE] = 1000 + round(1000 * throttle)

    def fly(self, seconds: float) -> None:
        """Go on for so long, showing the camera's pictures."""
        end = self.body.now() + seconds
        while self.body.now() < end - 1e-9:
            for frame in self.body.fly(min(STEP, end - self.body.now())):
                self.camera.show(frame.image, time.time() - (self.body.now() - frame.capture_time))

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Go on until the condition holds; False where it does not within so long."""
        end = self.body.now() + seconds
        while not condition():
            if self.body.now() >= end:
                return False
            self.fly(STEP)
        return True

    # --- the pilot ------------------------------------------------------------------------------------------

    def switch_override(self, on: bool) -> None:
        """The companion's turn, or the pilot's."""
        self.body.channels[OVERRIDE] = ON if on else OFF

    def take_off(self, height: float) -> None:
        """Arm in ANGLE mode and climb by hand, to be held at this height (m above the ground) from now on."""
        self.body.channels[ANGLE] = ON
        self.fly(0.5)
        self.body.channels[ARM] = ON
        self.fly(1.0)
        self._height = height

    def disarm(self) -> None:
        """The motors stop, wherever it is."""
        self._height = None
        self.body.channels[THROTTLE], self.body.channels[ARM] = 1000, OFF

    def close(self) -> None:
        """Close camera, estimator and sockets."""
        self.camera.close()
        self.estimator.close()
        self.body.close()
