"""A quadrotor as one rigid body in PyBullet: four rotors, drag, and the autopilot's controller.

Each physics step `actuate` applies one force and one torque and `read` fetches pose and velocity. Plain
floats throughout: at 240 Hz a handful of three-vectors in numpy costs more than the physics.

Rotor model (form and symbols of rotorpy, after Mahony, Kumar and Corke, "Multirotor Aerial Vehicles", IEEE
Robotics and Automation Magazine 2012, and Svacha et al., "Improving quadrotor trajectory tracking by
compensating for aerodynamic effects", ICUAS 2017): thrust k_eta w^2 along body z, reaction torque k_m w^2
about it, rotor drag -k_d w v_xy, inflow -k_z w v_z, parasitic drag -c_i |v| v_i, where v is the body
frame's velocity relative to the air. Rotor speeds follow their setpoints by a first-order lag.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from navstack.contract import Quaternion, Vector3, VehicleState, VelocityCommand, yaw_of
from navstack.envs.physics import pybullet
from navstack.envs.vehicle.airframe import GRAVITY, Airframe
from navstack.envs.vehicle.controller import VelocityController

_COLORS = (
    (0.12, 0.13, 0.15), *(2 * [(0.2, 0.2, 0.22)]), *(2 * [(1.0, 0.6, 0.1)]), *(2 * [(0.85, 0.87, 0.9)])
)  # of hub, arms, front and back rotors  # fmt: skip
_SIGNS = ((1, 1, 1), (1, -1, -1), (-1, -1, 1), (-1, 1, -1))  # x, y and reaction torque of each rotor


@dataclass(frozen=True, slots=True)
class Faults:
    """How a vehicle differs from its airframe file, which its controller goes by."""

    mass: float = 1.0  # times the file's, moments of inertia with it
    rotors: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # times the file's thrust at a speed
    attitude: float = 1.0  # times the gains of the attitude and rate loops


NO_FAULTS = Faults()


class Quadrotor:
    """One vehicle on one physics server. `spawn` after every reset of the simulation."""

    def __init__(self, client: int, airframe: Airframe, physics_hz: int = 240) -> None:
        self.client, self.airframe = client, airframe
        rotor = airframe.rotor
        self._lag = 1.0 - math.exp(-1.0 / (physics_hz * rotor.time_constant))
        self._controller = VelocityController(airframe, 1.0 / physics_hz)
        self._reach = airframe.geometry.arm * math.sqrt(0.5)  # m, x and y of the rotors
        self._thrust_max = rotor.thrust * rotor.speed_max**2
        self._aerodynamics = (
            rotor.thrust, rotor.torque / rotor.thrust, rotor.drag, rotor.inflow,
            airframe.drag.x, airframe.drag.y, airframe.drag.z,
        )  # fmt: skip
        self.body = -1
        self.position: Vector3 = (0.0, 0.0, 0.0)  # m, ENU
        self.orientation: Quaternion = (0.0, 0.0, 0.0, 1.0)  # x, y, z, w
        self.velocity: Vector3 = (0.0, 0.0, 0.0)  # m/s, ENU
        self.angular_velocity: Vector3 = (0.0, 0.0, 0.0)  # rad/s, ENU
        self.rotor_speeds = (0.0, 0.0, 0.0, 0.0)  # rad/s
        self.velocity_error: Vector3 | None = None  # m/s, ENU, of the estimate that the controller goes by
        self._rotor_thrusts: tuple[float, ...] = 4 * (rotor.thrust,)

    def spawn(self, position_enu: Vector3, yaw: float, faults: Faults = NO_FAULTS) -> None:
        """Create the body at rest in hover, its rotors turning as they would without faults."""
        self.velocity_error = None
        self._rotor_thrusts = tuple(self.airframe.rotor.thrust * share for share in faults.rotors)
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
        self.rotor_speeds = (hover, hover, hover, hover)
        self._controller.reset(yaw, faults.attitude)
        self.read()

    def _visual(self) -> int:
        """Hub, two arms and four rotor discs, hidden until they are `shown`."""
        arm, (_, _, height) = self.airframe.geometry.arm, self.airframe.geometry.body
        reach, turn = self._reach, math.sin(math.pi / 8)
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
        self.position, self.orientation = pybullet.getBasePositionAndOrientation(body, client)
        self.velocity, self.angular_velocity = pybullet.getBaseVelocity(body, client)

    def actuate(self, command: VelocityCommand, wind_enu: Vector3) -> None:
        """Controller, motors and air from the last read: apply force and torque for the next step."""
        rotation = rotation_matrix(self.orientation)
        rates = to_body(rotation, self.angular_velocity)
        velocity = self.velocity
        if self.velocity_error is not None:
            (x, y, z), (a, b, c) = velocity, self.velocity_error
            velocity = (x + a, y + b, z + c)
        setpoint = self._controller.update(command, velocity, rotation, rates)
        self.turn_rotors(self.allocate(*setpoint))
        self.apply(rotation, wind_enu)

    def allocate(
        self, thrust: float, roll: float, pitch: float, yaw: float
    ) -> tuple[float, float, float, float]:
        """Thrust of each rotor (N) for a collective thrust (N) and body torques (N m).

        Where a rotor would saturate, yaw torque yields first, then the collective; tilt comes last to harm.
        """
        limit, lever = self._thrust_max, 0.25 / self._reach
        base, a, b = 0.25 * thrust, lever * roll, lever * pitch
        c = 0.25 * yaw / self._aerodynamics[1]
        t1, t2, t3, t4 = base + a - b + c, base - a - b - c, base - a + b + c, base + a + b - c
        if 0.0 <= t1 <= limit and 0.0 <= t2 <= limit and 0.0 <= t3 <= limit and 0.0 <= t4 <= limit:
            return t1, t2, t3, t4
        spread = abs(a) + abs(b)
        c = max(-0.1 * limit, min(0.1 * limit, c))
        low, high = spread + abs(c), limit - spread - abs(c)
        base = max(low, min(high, base)) if low <= high else 0.5 * limit
        t1, t2, t3, t4 = base + a - b + c, base - a - b - c, base - a + b + c, base + a + b - c
        t1, t2, t3, t4 = min(limit, t1), min(limit, t2), min(limit, t3), min(limit, t4)
        return max(0.0, t1), max(0.0, t2), max(0.0, t3), max(0.0, t4)

    def turn_rotors(self, thrusts: tuple[float, float, float, float]) -> None:
        """Let the motors follow for one step the speeds that give these thrusts (N)."""
        k_eta, lag, (w1, w2, w3, w4) = self._aerodynamics[0], self._lag, self.rotor_speeds
        t1, t2, t3, t4 = thrusts
        self.rotor_speeds = (
            w1 + lag * (math.sqrt(t1 / k_eta) - w1),
            w2 + lag * (math.sqrt(t2 / k_eta) - w2),
            w3 + lag * (math.sqrt(t3 / k_eta) - w3),
            w4 + lag * (math.sqrt(t4 / k_eta) - w4),
        )

    def apply(self, rotation: tuple[float, ...], wind_enu: Vector3) -> None:
        """Apply the rotors' and the air's force and torque to the body for the next physics step."""
        _, kappa, k_d, k_z, cx, cy, cz = self._aerodynamics
        k1, k2, k3, k4 = self._rotor_thrusts
        (vx, vy, vz), (ux, uy, uz) = self.velocity, wind_enu
        bx, by, bz = to_body(rotation, (vx - ux, vy - uy, vz - uz))
        w1, w2, w3, w4 = self.rotor_speeds
        t1, t2, t3, t4 = k1 * w1 * w1, k2 * w2 * w2, k3 * w3 * w3, k4 * w4 * w4
        speed, turning, reach = math.sqrt(bx * bx + by * by + bz * bz), w1 + w2 + w3 + w4, self._reach
        force = (
            -(cx * speed + k_d * turning) * bx,
            -(cy * speed + k_d * turning) * by,
            t1 + t2 + t3 + t4 - (cz * speed + k_z * turning) * bz,
        )
        torque = (reach * (t1 - t2 - t3 + t4), reach * (t3 + t4 - t1 - t2), kappa * (t1 - t2 + t3 - t4))
        body, client = self.body, self.client
        pybullet.applyExternalForce(body, -1, force, (0.0, 0.0, 0.0), pybullet.LINK_FRAME, client)
        # Older PyBullet read the frame of a base's torque the wrong way round; a test holds ours to this one.
        pybullet.applyExternalTorque(body, -1, torque, pybullet.LINK_FRAME, client)

    def yaw(self) -> float:
        """Heading in radians, counter-clockwise from east."""
        return yaw_of(self.orientation)

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


def rotation_matrix(orientation: Quaternion) -> tuple[float, ...]:
    """The nine entries, row by row, of the matrix that turns FLU into ENU."""
    x, y, z, w = orientation
    xx, yy, zz, xy, xz, yz, wx, wy, wz = x * x, y * y, z * z, x * y, x * z, y * z, w * x, w * y, w * z
    return (
        1.0 - 2.0 * (yy + zz), 2.0 * (xy - wz), 2.0 * (xz + wy),
        2.0 * (xy + wz), 1.0 - 2.0 * (xx + zz), 2.0 * (yz - wx),
        2.0 * (xz - wy), 2.0 * (yz + wx), 1.0 - 2.0 * (xx + yy),
    )  # fmt: skip


def to_body(rotation: tuple[float, ...], vector: Vector3) -> Vector3:
    """A vector of the world frame (ENU) seen from the body (FLU): `rotation` transposed times it."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    x, y, z = vector
    return (
        r00 * x + r10 * y + r20 * z,
        r01 * x + r11 * y + r21 * z,
        r02 * x + r12 * y + r22 * z,
    )
