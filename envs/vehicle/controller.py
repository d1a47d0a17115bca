"""The cascade that an autopilot runs: velocity, attitude, body rate, in plain floats at physics rate.

The structure is that of PX4's multicopter controllers (docs: Controller Diagrams): the velocity setpoint is
shaped by acceleration and jerk limits, a PI loop on velocity with the setpoint's acceleration and the
rotors' drag at its speed fed forward (Faessler, Franchi and Scaramuzza, RA-L 2018) gives a thrust vector,
its direction a tilt error, a proportional loop on that error the body rates, and a proportional loop on
the rates the torques.
"""

from __future__ import annotations

import math

from navstack.contract import Vector3, VelocityCommand
from navstack.envs.vehicle.airframe import GRAVITY, Airframe

INTEGRAL_LIMIT = 3.0  # m/s^2: what the integrator may hold against wind
LEAST_LIFT = 0.3 * GRAVITY  # m/s^2: rotors that stood still could not turn the body


class VelocityController:
    """Turns a velocity command and the true state into collective thrust and body torque."""

    __slots__ = (
        "_airframe_gains", "_ax", "_ay", "_az", "_drag", "_gains", "_inertia", "_ix", "_iy", "_iz", "_lag",
        "_mass",
        "_r", "_reached", "_step", "_tan_tilt",
        "_vx", "_vy", "_vz", "_yaw",
    )  # fmt: skip

    def __init__(self, airframe: Airframe, time_step: float) -> None:
        gains = airframe.controller
        self._airframe_gains = (
            gains.acceleration, gains.jerk, gains.yaw_acceleration, gains.velocity, gains.velocity_integral,
            gains.attitude, gains.yaw, gains.rate, gains.yaw_rate,
        )  # fmt: skip
        inertia = airframe.inertia
        self._inertia = (inertia.ixx, inertia.iyy, inertia.izz)
        rotor = airframe.rotor
        turning = 4.0 * math.sqrt(inertia.mass * GRAVITY / (4.0 * rotor.thrust))  # rad/s in hover, all rotors
        self._drag = (rotor.drag * turning / inertia.mass, rotor.inflow * turning / inertia.mass)  # 1/s
        self._lag = 1.0 - math.exp(-time_step / rotor.time_constant)
        self._mass, self._step, self._tan_tilt = inertia.mass, time_step, math.tan(gains.tilt)
        self.reset(0.0)

    def reset(self, yaw: float, attitude: float = 1.0) -> None:
        """Begin at rest, heading `yaw` rad; `attitude` scales the gains of the attitude and rate loops."""
        gains = self._airframe_gains
        self._gains = (*gains[:5], attitude * gains[5], gains[6], attitude * gains[7], gains[8])
        self._vx = self._vy = self._vz = 0.0  # shaped velocity setpoint, m/s ENU
        self._ax = self._ay = self._az = 0.0  # its acceleration, m/s^2
        self._ix = self._iy = self._iz = 0.0  # integrator, m/s^2
        self._r = 0.0  # shaped yaw rate, rad/s
        self._reached = 0.0  # what of it the motors' lag lets through, rad/s
        self._yaw = yaw  # heading setpoint, rad

    def update(
        self,
        command: VelocityCommand,
        velocity: Vector3,
        rotation: tuple[float, ...],
        rates: Vector3,
    ) -> tuple[float, float, float, float]:
        """Collective thrust (N) and body torques (N m) for this step.

        Args:
            command: velocity in the level body frame.
            velocity: (m/s) ENU.
            rotation: the nine entries, row by row, of the matrix that turns FLU into ENU.
            rates: body rates (rad/s) FLU.
        """
        _, _, _, k_v, k_i, k_att, k_yaw, k_rate, k_r = self._gains
        r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
        heading = math.atan2(r10, r00)
        turn, yaw_error = self._shape_yaw(command.yaw_rate, heading)
        self._shape_velocity(command, heading)

        # PI on velocity, with the setpoint's acceleration and its drag in hover fed forward.
        ex, ey, ez = self._vx - velocity[0], self._vy - velocity[1], self._vz - velocity[2]
        gain = k_i * self._step
        self._ix = ix = _bounded(self._ix + gain * ex, INTEGRAL_LIMIT)
        self._iy = iy = _bounded(self._iy + gain * ey, INTEGRAL_LIMIT)
        self._iz = iz = _bounded(self._iz + gain * ez, INTEGRAL_LIMIT)
        drag, inflow = self._drag
        fx = self._ax + drag * self._vx + k_v * ex + ix
        fy = self._ay + drag * self._vy + k_v * ey + iy
        fz = GRAVITY + self._az + inflow * self._vz + k_v * ez + iz
        if fz < LEAST_LIFT:
            fz = LEAST_LIFT
        horizontal = math.sqrt(fx * fx + fy * fy)
        if horizontal > self._tan_tilt * fz:
            scale = self._tan_tilt * fz / horizontal
            fx, fy = fx * scale, fy * scale

        # Tilt error: the demanded direction seen from the body. Its x and y are sines of the tilt to go.
        length = math.sqrt(fx * fx + fy * fy + fz * fz)
        dx = (r00 * fx + r10 * fy + r20 * fz) / length
        dy = (r01 * fx + r11 * fy + r21 * fz) / length
        dz = (r02 * fx + r12 * fy + r22 * fz) / length
        ixx, iyy, izz = self._inertia
        return (
            self._mass * length * dz if dz > 0.0 else 0.0,
            ixx * k_rate * (-k_att * dy - rates[0]),
            iyy * k_rate * (k_att * dx - rates[1]),
            izz * (turn / self._step + k_r * (self._reached + k_yaw * yaw_error - rates[2])),
        )

    def _shape_yaw(self, yaw_rate: float, heading: float) -> tuple[float, float]:
        """Move the yaw setpoint on. Returns the shaped rate's change (rad/s) and the heading's error (rad).

        The rate's acceleration is limited and fed forward; the motors let it through with their lag, so rate
        and heading are held to what can have arrived.
        """
        step = self._step
        change = self._gains[2] * step
        turn = _bounded(yaw_rate - self._r, change)
        self._r = self._r + turn
        self._reached = r = self._reached + self._lag * (self._r - self._reached)
        yaw_error = math.remainder(self._yaw - heading, math.tau)
        if abs(yaw_error) > 0.5:  # do not wind up against a heading that cannot be reached
            yaw_error = math.copysign(0.5, yaw_error)
            self._yaw = heading + yaw_error
        self._yaw = math.remainder(self._yaw + r * step, math.tau)
        return turn, yaw_error

    def _shape_velocity(self, command: VelocityCommand, heading: float) -> None:
        """Move the velocity setpoint towards the command, limited in acceleration and jerk.

        jerk / a_max is the steepest first-order approach that the jerk limit can follow without overshooting.
        """
        a_max, jerk, step = self._gains[0], self._gains[1], self._step
        cos_yaw, sin_yaw = math.cos(heading), math.sin(heading)
        stiffness = jerk / a_max
        ex = (command.forward * cos_yaw - command.left * sin_yaw - self._vx) * stiffness
        ey = (command.forward * sin_yaw + command.left * cos_yaw - self._vy) * stiffness
        ez = (command.up - self._vz) * stiffness
        length = math.sqrt(ex * ex + ey * ey + ez * ez)
        if length > a_max:
            scale = a_max / length
            ex, ey, ez = ex * scale, ey * scale, ez * scale
        jx, jy, jz = ex - self._ax, ey - self._ay, ez - self._az
        length = math.sqrt(jx * jx + jy * jy + jz * jz)
        if length > jerk * step:
            scale = jerk * step / length
            jx, jy, jz = jx * scale, jy * scale, jz * scale
        self._ax += jx
        self._ay += jy
        self._az += jz
        self._vx += self._ax * step
        self._vy += self._ay * step
        self._vz += self._az * step


def _bounded(value: float, limit: float) -> float:
    """The value, brought between -limit and limit: several times a physics step, where min and max cost."""
    return value if -limit <= value <= limit else math.copysign(limit, value)
