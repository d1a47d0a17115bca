"""A quadrotor as one rigid body in PyBullet: four rotors, drag, and the autopilot's controller.

Each physics step `actuate` applies one force and one torque, which `dynamics.py` computes, and `read` fetches
pose and velocity. Vectors are tuples of floats throughout.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from navstack.contract import Quaternion, Vector3, VehicleState, VelocityCommand
from navstack.envs.compiled import stored
from navstack.envs.physics import pybullet
from navstack.envs.vehicle import dynamics
from navstack.envs.vehicle.airframe import GRAVITY, Airframe
from navstack.envs.vehicle.dynamics import NO_FAULTS, Faults, Four, Memory, Rotation, rotation_matrix, to_body

_COLORS = (
    (0.12, 0.13, 0.15), *(2 * [(0.2, 0.2, 0.22)]), *(2 * [(1.0, 0.6, 0.1)]), *(2 * [(0.85, 0.87, 0.9)])
)  # of hub, arms, front and back rotors  # fmt: skip
_SIGNS = ((1, 1, 1), (1, -1, -1), (-1, -1, 1), (-1, 1, -1))  # x, y and reaction torque of each rotor
_ORIGIN = (0.0, 0.0, 0.0)
_read_pose, _read_velocity = pybullet.getBasePositionAndOrientation, pybullet.getBaseVelocity
_push, _turn, _FLU = pybullet.applyExternalForce, pybullet.applyExternalTorque, pybullet.LINK_FRAME


class Quadrotor:
    """One vehicle on one physics server. `spawn` after every reset of the simulation."""

    def __init__(self, client: int, airframe: Airframe, physics_hz: int = 240) -> None:
        self.client, self.airframe = client, airframe
        self._step = 1.0 / physics_hz
        self._fly = dynamics.flight_step()
        self._furnish(NO_FAULTS, Memory(yaw=0.0))
        self.body = -1
        self.position: Vector3 = (0.0, 0.0, 0.0)  # m, ENU
        self.orientation: Quaternion = (0.0, 0.0, 0.0, 1.0)  # x, y, z, w
        self.heading = 0.0  # rad, counter-clockwise from east
        self.velocity: Vector3 = (0.0, 0.0, 0.0)  # m/s, ENU
        self.angular_velocity: Vector3 = (0.0, 0.0, 0.0)  # rad/s, ENU
        self.velocity_error: Vector3 | None = None  # m/s, ENU, of the estimate that the controller goes by

    def spawn(self, position_enu: Vector3, yaw: float, faults: Faults = NO_FAULTS) -> None:
        """Create the body at rest in hover, its rotors turning as they would without faults."""
        self.velocity_error = None
        inertia, (length, width, height) = self.airframe.inertia, self.airframe.geometry.body
        shape = pybullet.createCollisionShape(
            pybullet.GEOM_BOX, halfExtents=(length / 2, width / 2, height / 2), physicsClientId=self.client
        )
        self.body = pybullet.createMultiBody(
            faults.mass * inertia.mass, shape, self._visual(), position_enu,
            (0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)), physicsClientId=self.client,
        )  # fmt: skip
        pybullet.changeDynamics(
            self.body, -1,
            localInertiaDiagonal=tuple(faults.mass * i for i in (inertia.ixx, inertia.iyy, inertia.izz)),
            linearDamping=0.0, angularDamping=0.0, physicsClientId=self.client,
        )  # fmt: skip
        hover = math.sqrt(inertia.mass * GRAVITY / (4.0 * self.airframe.rotor.thrust))
        self._furnish(faults, Memory(yaw, hover, hover, hover, hover))
        self.read()

    def _furnish(self, faults: Faults, memory: Memory) -> None:
        self._model = stored(dynamics.model(self.airframe, faults, self._step))
        self._memory = stored(memory)

    def _visual(self) -> int:
        """Hub, two arms and four rotor discs, hidden until they are `shown`."""
        arm, (_, _, height) = self.airframe.geometry.arm, self.airframe.geometry.body
        reach, turn = arm * math.sqrt(0.5), math.sin(math.pi / 8)
        identity, diagonals = (0.0, 0.0, 0.0, 1.0), [(0, 0, s * turn, math.cos(math.pi / 8)) for s in (1, -1)]
        hub, spar, disc = pybullet.GEOM_BOX, pybullet.GEOM_BOX, pybullet.GEOM_CYLINDER
        rotors = [(sx * reach, sy * reach, 0.6 * height) for sx, sy, _ in _SIGNS]
        return int(
            pybullet.createVisualShapeArray(
                shapeTypes=[hub, spar, spar] + 4 * [disc],
                halfExtents=[(0.4 * arm, 0.3 * arm, 0.5 * height)]
                + 2 * [(arm, 0.06 * arm, 0.12 * height)]
                + 4 * [(0.0, 0.0, 0.0)],
                radii=3 * [0.0] + 4 * [0.55 * arm],
                lengths=3 * [0.0] + 4 * [0.1 * height],
                visualFramePositions=3 * [(0.0, 0.0, 0.0)] + rotors,
                visualFrameOrientations=[identity, *diagonals, *(4 * [identity])],
                rgbaColors=[(*color, 0.0) for color in _COLORS],
                physicsClientId=self.client,
            )
        )  # fmt: skip

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Draw the vehicle in pictures taken meanwhile.

        The camera at the nose looks past all of it, and drawing what nobody sees costs 50 us a picture.
        """
        try:
            self._paint(1.0)
            yield
        finally:
            self._paint(0.0)

    def _paint(self, alpha: float) -> None:
        """The renderer draws nothing of what has an alpha of zero."""
        for number, color in enumerate(_COLORS):
            pybullet.changeVisualShape(
                self.body, -1, shapeIndex=number, rgbaColor=(*color, alpha), physicsClientId=self.client
            )

    def read(self) -> None:
        """Fetch pose and velocity from the physics server."""
        # Arguments by place: their names cost a tenth of a microsecond a call.
        body, client = self.body, self.client
        self.position, self.orientation = _read_pose(body, client)
        self.velocity, self.angular_velocity = _read_velocity(body, client)
        x, y, z, w = self.orientation
        self.heading = math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))  # as yaw_of, in place

    def actuate(self, command: VelocityCommand, wind_enu: Vector3) -> None:
        """Controller, motors and air from the last read: apply force and torque for the next step."""
        believed = velocity = self.velocity
        if self.velocity_error is not None:
            (x, y, z), (a, b, c) = velocity, self.velocity_error
            believed = (x + a, y + b, z + c)
        heading = self.heading
        force, torque = self._fly(
            self._memory, self._model, self.orientation, velocity, believed, self.angular_velocity,
            (heading, math.cos(heading), math.sin(heading)),
            (command.forward, command.left, command.up, command.yaw_rate), wind_enu,
        )  # fmt: skip
        self._apply(force, torque)

    def allocate(self, thrust: float, roll: float, pitch: float, yaw: float) -> Four:
        """Thrust of each rotor (N) for a collective thrust (N) and body torques (N m)."""
        return dynamics.allocate(self._model, thrust, roll, pitch, yaw)

    def turn_rotors(self, thrusts: Four) -> None:
        """Let the motors follow for one step the speeds that give these thrusts (N)."""
        dynamics.turn_rotors(self._memory, self._model, thrusts)

    def apply(self, rotation: Rotation, wind_enu: Vector3) -> None:
        """Apply the rotors' and the air's force and torque to the body for the next physics step."""
        self._apply(*dynamics.forces(self._memory, self._model, rotation, self.velocity, wind_enu))

    def _apply(self, force: Vector3, torque: Vector3) -> None:
        body, client = self.body, self.client
        _push(body, -1, force, _ORIGIN, _FLU, client)
        # Older PyBullet read the frame of a base's torque the wrong way round; a test holds ours to this one.
        _turn(body, -1, torque, _FLU, client)

    @property
    def rotor_speeds(self) -> Four:
        """Of each rotor, rad/s."""
        memory = self._memory[0]
        return float(memory.w1), float(memory.w2), float(memory.w3), float(memory.w4)

    @rotor_speeds.setter
    def rotor_speeds(self, speeds: Four) -> None:
        memory = self._memory[0]
        memory.w1, memory.w2, memory.w3, memory.w4 = speeds

    def camera_position(self) -> Vector3:
        """Where the camera is, in m, ENU."""
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation_matrix(self.orientation)
        (x, y, z), (a, b, c) = self.position, self.airframe.geometry.camera_offset_flu
        return (
            x + r00 * a + r01 * b + r02 * c,
            y + r10 * a + r11 * b + r12 * c,
            z + r20 * a + r21 * b + r22 * c,
        )

    def state(self, time: float) -> VehicleState:
        """The state as of the last read."""
        return VehicleState(time, self.position, self.velocity, self.orientation, self.body_rates())

    def body_rates(self) -> Vector3:
        """Angular velocity in rad/s, FLU."""
        return to_body(rotation_matrix(self.orientation), self.angular_velocity)
