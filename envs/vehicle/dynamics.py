"""From command and state to force and torque: an autopilot's cascade, four motors and the air, step by step.

The cascade is that of PX4's multicopter controllers (docs: Controller Diagrams): the velocity setpoint is
shaped by acceleration and jerk limits, a PI loop on velocity with the setpoint's acceleration and the
rotors' drag at its speed fed forward (Faessler, Franchi and Scaramuzza, RA-L 2018) gives a thrust vector,
its direction a tilt error, a proportional loop on that error the body rates, and a proportional loop on
the rates the torques.

Rotor model (form and symbols of rotorpy, after Mahony, Kumar and Corke, "Multirotor Aerial Vehicles", IEEE
Robotics and Automation Magazine 2012, and Svacha et al., "Improving quadrotor trajectory tracking by
compensating for aerodynamic effects", ICUAS 2017): thrust k_eta w^2 along body z, reaction torque k_m w^2
about it, rotor drag -k_d w v_xy, inflow -k_z w v_z, parasitic drag -c_i |v| v_i, where v is the body
frame's velocity relative to the air. Rotor speeds follow their setpoints by a first-order lag.

All of it runs 240 times a second: plain floats, because a handful of three-vectors in numpy costs more than
the physics, and functions that Numba can compile where it is installed (`envs/compiled.py`). Bounds are
comparisons, because `min` and `max` cost three times as much in Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from navstack.contract import Quaternion, Vector3
from navstack.envs.compiled import compiled, stored
from navstack.envs.vehicle.airframe import GRAVITY, Airframe

INTEGRAL_LIMIT = 3.0  # m/s^2: what the integrator may hold against wind
LEAST_LIFT = 0.3  # of gravity: rotors that stood still could not turn the body
TAU = math.tau

Rotation = tuple[float, float, float, float, float, float, float, float, float]
"""The nine entries, row by row, of the matrix that turns FLU into ENU."""
Four = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Faults:
    """How a vehicle differs from its airframe file, which its controller goes by."""

    mass: float = 1.0  # times the file's, moments of inertia with it
    rotors: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)  # times the file's thrust at a speed
    attitude: float = 1.0  # times the gains of the attitude and rate loops


NO_FAULTS = Faults()


@dataclass(slots=True)
class Model:
    """What stays the same during a flight."""

    step: float  # s
    gravity: float  # m/s^2
    mass: float  # kg, as the controller knows it
    ixx: float  # kg m^2, as the controller knows them
    iyy: float
    izz: float
    reach: float  # m, x and y of the rotors
    thrust: float  # k_eta, N/(rad/s)^2, as the controller knows it
    kappa: float  # m, reaction torque by thrust
    thrust_max: float  # N, of one rotor
    lag: float  # share of the way to its setpoint that a rotor's speed goes in a step
    k1: float  # N/(rad/s)^2, of each rotor as it is
    k2: float
    k3: float
    k4: float
    rotor_drag: float  # k_d, kg/rad
    inflow: float  # k_z, kg/rad
    cx: float  # N/(m/s)^2
    cy: float
    cz: float
    acceleration: float  # m/s^2
    jerk: float  # m/s^3
    yaw_acceleration: float  # rad/s^2
    velocity_gain: float  # 1/s
    integral_gain: float  # 1/s^2
    attitude_gain: float  # 1/s
    yaw_gain: float  # 1/s
    rate_gain: float  # 1/s
    yaw_rate_gain: float  # 1/s
    tan_tilt: float
    hover_drag: float  # 1/s, acceleration by speed, of the rotors' drag in hover
    hover_inflow: float  # 1/s


@dataclass(slots=True)
class Memory:
    """What controller and motors carry from step to step; at rest where nothing is said."""

    yaw: float  # rad, heading setpoint
    w1: float = 0.0  # rad/s, rotor speeds
    w2: float = 0.0
    w3: float = 0.0
    w4: float = 0.0
    vx: float = 0.0  # m/s, ENU, shaped velocity setpoint
    vy: float = 0.0
    vz: float = 0.0
    ax: float = 0.0  # m/s^2, its acceleration
    ay: float = 0.0
    az: float = 0.0
    ix: float = 0.0  # m/s^2, integrator
    iy: float = 0.0
    iz: float = 0.0
    yaw_rate: float = 0.0  # rad/s, shaped
    yaw_rate_reached: float = 0.0  # rad/s: what of it the motors' lag lets through


def model(airframe: Airframe, faults: Faults, step: float) -> Model:
    """The model of this airframe with these faults, for physics steps of so many seconds."""
    gains, inertia, rotor, drag = airframe.controller, airframe.inertia, airframe.rotor, airframe.drag
    turning = 4.0 * math.sqrt(inertia.mass * GRAVITY / (4.0 * rotor.thrust))  # rad/s in hover, all rotors
    k1, k2, k3, k4 = (rotor.thrust * share for share in faults.rotors)
    return Model(
        step=step, gravity=GRAVITY, mass=inertia.mass, ixx=inertia.ixx, iyy=inertia.iyy, izz=inertia.izz,
        reach=airframe.geometry.arm * math.sqrt(0.5), thrust=rotor.thrust, kappa=rotor.torque / rotor.thrust,
        thrust_max=rotor.thrust * rotor.speed_max**2, lag=1.0 - math.exp(-step / rotor.time_constant),
        k1=k1, k2=k2, k3=k3, k4=k4,
        rotor_drag=rotor.drag, inflow=rotor.inflow, cx=drag.x, cy=drag.y, cz=drag.z,
        acceleration=gains.acceleration, jerk=gains.jerk, yaw_acceleration=gains.yaw_acceleration,
        velocity_gain=gains.velocity, integral_gain=gains.velocity_integral,
        attitude_gain=faults.attitude * gains.attitude, yaw_gain=gains.yaw,
        rate_gain=faults.attitude * gains.rate, yaw_rate_gain=gains.yaw_rate,
        tan_tilt=math.tan(gains.tilt), hover_drag=rotor.drag * turning / inertia.mass,
        hover_inflow=rotor.inflow * turning / inertia.mass,
    )  # fmt: skip


def flight_step() -> Callable[..., tuple[Vector3, Vector3]]:
    """`flown`, compiled where there is Numba."""
    helpers = (
        rotation_matrix, to_body, allocate, turn_rotors, forces,
        _shape_yaw, _shape_velocity, _demand, _attitude, _bounded, _between,
    )  # fmt: skip
    three, four = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    records = stored(Memory(yaw=0.0)), stored(Model(*(0.0 for _ in fields(Model))))
    return compiled(flown, helpers, (*records, four, three, three, three, three, four, three), unchecked=True)


def flown(
    memory: Any, model: Any, orientation: Quaternion, velocity: Vector3, believed: Vector3,
    angular_velocity: Vector3, heading: Vector3, command: Four, wind: Vector3,
) -> tuple[Vector3, Vector3]:  # fmt: skip
    """One step of controller, motors and air: the force (N) and torque (N m) on the body, both FLU.

    Args:
        memory: `stored` Memory, moved on by a step.
        model: `stored` Model.
        orientation: FLU into ENU.
        velocity: m/s, ENU.
        believed: m/s, ENU: the velocity that the controller goes by.
        angular_velocity: rad/s, ENU.
        heading: rad, its cosine and its sine.
        command: forward, left, up (m/s) and yaw rate (rad/s) in the level body frame.
        wind: m/s, ENU.
    """
    rotation = rotation_matrix(orientation)
    rates = to_body(rotation, angular_velocity)
    turn, yaw_error = _shape_yaw(memory[0], model[0], command[3], heading[0])
    _shape_velocity(memory[0], model[0], command, heading)
    fx, fy, fz = _demand(memory[0], model[0], believed)
    thrust, roll, pitch, yaw = _attitude(memory[0], model[0], rotation, rates, (fx, fy, fz), turn, yaw_error)
    turn_rotors(memory, model, allocate(model, thrust, roll, pitch, yaw))
    return forces(memory, model, rotation, velocity, wind)


def rotation_matrix(orientation: Quaternion) -> Rotation:
    """The nine entries, row by row, of the matrix that turns FLU into ENU."""
    x, y, z, w = orientation
    xx, yy, zz, xy, xz, yz, wx, wy, wz = x * x, y * y, z * z, x * y, x * z, y * z, w * x, w * y, w * z
    return (
        1.0 - 2.0 * (yy + zz), 2.0 * (xy - wz), 2.0 * (xz + wy),
        2.0 * (xy + wz), 1.0 - 2.0 * (xx + zz), 2.0 * (yz - wx),
        2.0 * (xz - wy), 2.0 * (yz + wx), 1.0 - 2.0 * (xx + yy),
    )  # fmt: skip


def to_body(rotation: Rotation, vector: Vector3) -> Vector3:
    """A vector of the world frame (ENU) seen from the body (FLU): `rotation` transposed times it."""
    r00, r01, r02, r10, r11, r12, r20, r21, r22 = rotation
    x, y, z = vector
    return (
        r00 * x + r10 * y + r20 * z,
        r01 * x + r11 * y + r21 * z,
        r02 * x + r12 * y + r22 * z,
    )


def allocate(model: Any, thrust: float, roll: float, pitch: float, yaw: float) -> Four:
    """Thrust of each rotor (N) for a collective thrust (N) and body torques (N m).

    Where a rotor would saturate, yaw torque yields first, then the collective; tilt comes last to harm.
    """
    m = model[0]
    limit, lever = m.thrust_max, 0.25 / m.reach
    base, a, b = 0.25 * thrust, lever * roll, lever * pitch
    c = 0.25 * yaw / m.kappa
    t1, t2, t3, t4 = base + a - b + c, base - a - b - c, base - a + b + c, base + a + b - c
    if 0.0 <= t1 <= limit and 0.0 <= t2 <= limit and 0.0 <= t3 <= limit and 0.0 <= t4 <= limit:
        return t1, t2, t3, t4
    spread = abs(a) + abs(b)
    c = _between(-0.1 * limit, c, 0.1 * limit)
    low, high = spread + abs(c), limit - spread - abs(c)
    base = _between(low, base, high) if low <= high else 0.5 * limit
    t1, t2, t3, t4 = base + a - b + c, base - a - b - c, base - a + b + c, base + a + b - c
    return (
        _between(0.0, t1, limit), _between(0.0, t2, limit),
        _between(0.0, t3, limit), _between(0.0, t4, limit),
    )  # fmt: skip


def turn_rotors(memory: Any, model: Any, thrusts: Four) -> None:
    """Let the motors follow for one step the speeds that give these thrusts (N)."""
    s, m = memory[0], model[0]
    k_eta, lag = m.thrust, m.lag
    t1, t2, t3, t4 = thrusts
    s.w1 = s.w1 + lag * (math.sqrt(t1 / k_eta) - s.w1)
    s.w2 = s.w2 + lag * (math.sqrt(t2 / k_eta) - s.w2)
    s.w3 = s.w3 + lag * (math.sqrt(t3 / k_eta) - s.w3)
    s.w4 = s.w4 + lag * (math.sqrt(t4 / k_eta) - s.w4)


def forces(
    memory: Any, model: Any, rotation: Rotation, velocity: Vector3, wind: Vector3
) -> tuple[Vector3, Vector3]:
    """The rotors' and the air's force (N) and torque (N m) on the body, both FLU."""
    s, m = memory[0], model[0]
    vx, vy, vz = velocity
    ux, uy, uz = wind
    bx, by, bz = to_body(rotation, (vx - ux, vy - uy, vz - uz))
    w1, w2, w3, w4 = s.w1, s.w2, s.w3, s.w4
    t1, t2, t3, t4 = m.k1 * w1 * w1, m.k2 * w2 * w2, m.k3 * w3 * w3, m.k4 * w4 * w4
    speed, turning, reach = math.sqrt(bx * bx + by * by + bz * bz), w1 + w2 + w3 + w4, m.reach
    k_d, k_z = m.rotor_drag, m.inflow
    return (
        (
            -(m.cx * speed + k_d * turning) * bx,
            -(m.cy * speed + k_d * turning) * by,
            t1 + t2 + t3 + t4 - (m.cz * speed + k_z * turning) * bz,
        ),
        (reach * (t1 - t2 - t3 + t4), reach * (t3 + t4 - t1 - t2), m.kappa * (t1 - t2 + t3 - t4)),
    )


def _shape_yaw(s: Any, m: Any, yaw_rate: float, heading: float) -> tuple[float, float]:
    """Move the yaw setpoint on. Returns the shaped rate's change (rad/s) and the heading's error (rad).

    The rate's acceleration is limited and fed forward; the motors let it through with their lag, so rate
    and heading are held to what can have arrived.
    """
    turn = _bounded(yaw_rate - s.yaw_rate, m.yaw_acceleration * m.step)
    s.yaw_rate = rate = s.yaw_rate + turn
    s.yaw_rate_reached = reached = s.yaw_rate_reached + m.lag * (rate - s.yaw_rate_reached)
    yaw = s.yaw
    error = math.remainder(yaw - heading, TAU)
    if abs(error) > 0.5:  # do not wind up against a heading that cannot be reached
        error = math.copysign(0.5, error)
        yaw = heading + error
    s.yaw = math.remainder(yaw + reached * m.step, TAU)
    return turn, error


def _shape_velocity(s: Any, m: Any, command: Four, heading: Vector3) -> None:
    """Move the velocity setpoint towards the command, limited in acceleration and jerk.

    jerk / acceleration is the steepest first-order approach that the jerk limit can follow without
    overshooting.
    """
    limit, step = m.acceleration, m.step
    change = m.jerk * step
    stiffness = m.jerk / limit
    _, cos_yaw, sin_yaw = heading
    forward, left, up, _ = command
    vx, vy, vz, ax, ay, az = s.vx, s.vy, s.vz, s.ax, s.ay, s.az
    ex = (forward * cos_yaw - left * sin_yaw - vx) * stiffness
    ey = (forward * sin_yaw + left * cos_yaw - vy) * stiffness
    ez = (up - vz) * stiffness
    length = math.sqrt(ex * ex + ey * ey + ez * ez)
    if length > limit:
        scale = limit / length
        ex, ey, ez = ex * scale, ey * scale, ez * scale
    jx, jy, jz = ex - ax, ey - ay, ez - az
    length = math.sqrt(jx * jx + jy * jy + jz * jz)
    if length > change:
        scale = change / length
        jx, jy, jz = jx * scale, jy * scale, jz * scale
    s.ax = ax = ax + jx
    s.ay = ay = ay + jy
    s.az = az = az + jz
    s.vx = vx + ax * step
    s.vy = vy + ay * step
    s.vz = vz + az * step


def _demand(s: Any, m: Any, velocity: Vector3) -> Vector3:
    """The thrust by mass (m/s^2, ENU) that the velocity loop asks for.

    PI on velocity, with the setpoint's acceleration and its drag in hover fed forward.
    """
    vx, vy, vz = s.vx, s.vy, s.vz
    ex, ey, ez = vx - velocity[0], vy - velocity[1], vz - velocity[2]
    k_v, gain = m.velocity_gain, m.integral_gain * m.step
    s.ix = ix = _bounded(s.ix + gain * ex, INTEGRAL_LIMIT)
    s.iy = iy = _bounded(s.iy + gain * ey, INTEGRAL_LIMIT)
    s.iz = iz = _bounded(s.iz + gain * ez, INTEGRAL_LIMIT)
    fx = s.ax + m.hover_drag * vx + k_v * ex + ix
    fy = s.ay + m.hover_drag * vy + k_v * ey + iy
    fz = m.gravity + s.az + m.hover_inflow * vz + k_v * ez + iz
    if fz < LEAST_LIFT * m.gravity:
        fz = LEAST_LIFT * m.gravity
    horizontal, most = math.sqrt(fx * fx + fy * fy), m.tan_tilt * fz
    if horizontal > most:
        scale = most / horizontal
        fx, fy = fx * scale, fy * scale
    return fx, fy, fz


def _attitude(
    s: Any, m: Any, rotation: Rotation, rates: Vector3, demand: Vector3, turn: float, yaw_error: float
) -> Four:
    """Collective thrust (N) and body torques (N m) that turn the thrust to where it is asked for.

    The demanded direction is seen from the body: its x and y are the sines of the tilt to go.
    """
    fx, fy, fz = demand
    length = math.sqrt(fx * fx + fy * fy + fz * fz)
    bx, by, bz = to_body(rotation, demand)
    dx, dy, dz = bx / length, by / length, bz / length
    k_att, k_rate = m.attitude_gain, m.rate_gain
    return (
        m.mass * length * dz if dz > 0.0 else 0.0,
        m.ixx * k_rate * (-k_att * dy - rates[0]),
        m.iyy * k_rate * (k_att * dx - rates[1]),
        m.izz * (turn / m.step + m.yaw_rate_gain * (s.yaw_rate_reached + m.yaw_gain * yaw_error - rates[2])),
    )


def _bounded(value: float, limit: float) -> float:
    """The value, brought between -limit and limit."""
    return value if -limit <= value <= limit else math.copysign(limit, value)


def _between(low: float, value: float, high: float) -> float:
    """The value, brought between two others of which the lower one wins."""
    if high < value:
        value = high
    return value if value > low else low
