"""The quadrotor against mechanics on paper: equilibrium, conservation, drag, and the linearised cascade."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pybullet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from navstack.contract import ZERO_COMMAND, CameraSpec, Vector3, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sensors import Camera, chase_view
from navstack.envs.vehicle import Airframe, Quadrotor, airframe_names, load_airframe
from navstack.envs.vehicle.airframe import GRAVITY
from navstack.envs.vehicle.dynamics import rotation_matrix

HZ = 240
CALM = (0.0, 0.0, 0.0)
Array = npt.NDArray[np.float64]

both = pytest.mark.parametrize("name", airframe_names())


@pytest.fixture(scope="module")
def client() -> Iterator[int]:
    made = pybullet.connect(pybullet.DIRECT)
    yield made
    pybullet.disconnect(made)


def spawn(client: int, airframe: Airframe, yaw: float = 0.0, gravity: float = GRAVITY) -> Quadrotor:
    """A vehicle in hover 100 m above an empty world."""
    pybullet.resetSimulation(physicsClientId=client)
    pybullet.setGravity(0.0, 0.0, -gravity, physicsClientId=client)
    pybullet.setPhysicsEngineParameter(fixedTimeStep=1.0 / HZ, numSubSteps=1, physicsClientId=client)
    quad = Quadrotor(client, airframe, HZ)
    quad.spawn((0.0, 0.0, 100.0), yaw)
    return quad


def advance(quad: Quadrotor) -> None:
    pybullet.stepSimulation(physicsClientId=quad.client)
    quad.read()


def fly(quad: Quadrotor, command: VelocityCommand, seconds: float, wind: Vector3 = CALM) -> Array:
    """Velocity (m/s) ENU and yaw rate (rad/s) after each physics step: (T, 4)."""
    rows = []
    for _ in range(round(seconds * HZ)):
        quad.actuate(command, wind)
        advance(quad)
        rows.append((*quad.velocity, quad.angular_velocity[2]))
    return np.array(rows)


def coast(quad: Quadrotor, seconds: float, wind: Vector3 = CALM) -> None:
    """Rotors at the speeds they have, no controller."""
    for _ in range(round(seconds * HZ)):
        quad.apply(rotation_matrix(quad.orientation), wind)
        advance(quad)


def without_air(airframe: Airframe) -> Airframe:
    return airframe.model_copy(
        update={
            "rotor": airframe.rotor.model_copy(update={"drag": 0.0, "inflow": 0.0}),
            "drag": airframe.drag.model_copy(update={"x": 0.0, "y": 0.0, "z": 0.0}),
        }
    )


def momentum(quad: Quadrotor) -> tuple[Array, float]:
    """Angular momentum (kg m^2/s) ENU and energy of rotation (J)."""
    inertia = quad.airframe.inertia
    moments = np.array((inertia.ixx, inertia.iyy, inertia.izz))
    rates = np.array(quad.state(0.0).angular_velocity_flu)
    turn = np.array(rotation_matrix(quad.orientation)).reshape(3, 3)
    return turn @ (moments * rates), float(0.5 * rates @ (moments * rates))


# Hover


@both
def test_it_hovers_where_it_is_put(client: int, name: str) -> None:
    quad = spawn(client, load_airframe(name), yaw=0.7)
    fly(quad, ZERO_COMMAND, 5.0)
    assert math.dist(quad.position, (0.0, 0.0, 100.0)) < 1e-6
    assert quad.heading == pytest.approx(0.7, abs=1e-9)


@both
def test_in_hover_four_thrusts_carry_the_weight(client: int, name: str) -> None:
    airframe = load_airframe(name)
    quad = spawn(client, airframe)
    fly(quad, ZERO_COMMAND, 1.0)
    thrust = sum(airframe.rotor.thrust * speed**2 for speed in quad.rotor_speeds)
    assert thrust == pytest.approx(airframe.mass * GRAVITY, rel=1e-9)
    assert max(quad.rotor_speeds) < 0.8 * airframe.rotor.speed_max


@both
def test_it_holds_its_place_in_the_air_against_wind(client: int, name: str) -> None:
    """In steady hover the thrust's horizontal part balances drag: the lean follows from the balance of forces
    along the body's axes, with v the air's velocity seen from the body (rotor turning taken from hover)."""
    airframe, wind = load_airframe(name), 4.0
    quad = spawn(client, airframe)
    settled = fly(quad, ZERO_COMMAND, 15.0, (wind, 0.0, 0.0))[-HZ:]
    assert np.abs(settled[:, :3]).max() < 0.02
    turning, drag = sum(quad.rotor_speeds), airframe.drag
    lean = 0.0
    for _ in range(50):  # fixed point of m g sin(lean) = (c_x |v| + k_d turning) v cos(lean)
        along = (drag.x * wind + airframe.rotor.drag * turning) * wind * math.cos(lean)
        lean = math.asin(along / (airframe.mass * GRAVITY))
    assert math.asin(-rotation_matrix(quad.orientation)[6]) == pytest.approx(-lean, abs=math.radians(0.2))


@both
def test_a_wind_that_sets_in_is_held_to_the_last_centimetre_a_second(client: int, name: str) -> None:
    """A steady 3 m/s from rest: at most 0.45 m/s for a moment, then the integral takes it over."""
    quad = spawn(client, load_airframe(name))
    found = np.linalg.norm(fly(quad, ZERO_COMMAND, 20.0, (3.0, 0.0, 0.0))[:, :3], axis=1)
    assert found.max() < 0.45
    assert found[-1] < 0.01


# Conservation


def test_free_fall_keeps_energy_and_momentum(client: int) -> None:
    """Without air and thrust v = g t exactly; semi-implicit Euler puts the height off by g t / (2 Hz)."""
    quad = spawn(client, without_air(load_airframe("hummingbird")))
    quad.rotor_speeds = (0.0,) * 4
    pybullet.resetBaseVelocity(quad.body, (3.0, -2.0, 1.0), physicsClientId=client)
    quad.read()
    coast(quad, 2.0)
    assert quad.velocity == pytest.approx((3.0, -2.0, 1.0 - 2.0 * GRAVITY), abs=1e-9)
    fallen = 100.0 - quad.position[2]
    kinetic = 0.5 * sum(v * v for v in quad.velocity) - 0.5 * (9.0 + 4.0 + 1.0)
    assert kinetic == pytest.approx(GRAVITY * fallen, abs=GRAVITY * GRAVITY * 2.0 / (2 * HZ) + 1e-9)


@both
def test_a_free_spin_keeps_its_angular_momentum(client: int, name: str) -> None:
    """Bullet turns bodies with their gyroscopic term, explicitly: at one turn a second it keeps the
    direction of the angular momentum to a degree, and gains 0.5% of its size and 2% of the energy in 2
    s."""
    quad = spawn(client, without_air(load_airframe(name)), gravity=0.0)
    quad.rotor_speeds = (0.0,) * 4
    pybullet.resetBaseVelocity(quad.body, (0.0, 0.0, 0.0), (2.0, 0.0, 6.0), physicsClientId=client)
    quad.read()
    before, energy = momentum(quad)
    coast(quad, 2.0)
    after, energy_after = momentum(quad)
    size, size_after = float(np.linalg.norm(before)), float(np.linalg.norm(after))
    assert float(before @ after) / (size * size_after) > math.cos(math.radians(1.0))
    assert size_after == pytest.approx(size, rel=0.006)
    assert energy_after == pytest.approx(energy, rel=0.025)


def test_a_symmetric_body_precesses_as_euler_says(client: int) -> None:
    """For ixx = iyy the body rates turn about z at (izz / ixx - 1) r."""
    airframe = load_airframe("crazyflie")
    quad = spawn(client, without_air(airframe), gravity=0.0)
    quad.rotor_speeds = (0.0,) * 4
    pybullet.resetBaseVelocity(quad.body, (0.0, 0.0, 0.0), (0.5, 0.0, 3.0), physicsClientId=client)
    quad.read()
    coast(quad, 1.0)
    p, q, r = quad.state(0.0).angular_velocity_flu
    turned = (airframe.inertia.izz / airframe.inertia.ixx - 1.0) * 3.0
    assert math.remainder(math.atan2(q, p) - turned, math.tau) == pytest.approx(0.0, abs=0.03)
    assert r == pytest.approx(3.0, rel=1e-3)


@given(
    yaw=st.floats(-math.pi, math.pi),
    roll=st.floats(-1.0, 1.0),
    pitch=st.floats(-1.0, 1.0),
    turn=st.floats(-1.0, 1.0),
)
def test_thrust_and_torque_act_in_the_body_frame(yaw: float, roll: float, pitch: float, turn: float) -> None:
    """One step from rest: the body rates are torque / moment / Hz about the body's own axes, at any
    heading."""
    client = pybullet.connect(pybullet.DIRECT)
    try:
        airframe = without_air(load_airframe("hummingbird"))
        quad = spawn(client, airframe, yaw=yaw)
        inertia = airframe.inertia
        torque = (0.05 * roll, 0.05 * pitch, 0.01 * turn)
        thrusts = quad.allocate(1.2 * airframe.mass * GRAVITY, *torque)
        quad.rotor_speeds = tuple(math.sqrt(t / airframe.rotor.thrust) for t in thrusts)
        coast(quad, 1.0 / HZ)
        rates = quad.state(0.0).angular_velocity_flu
        moments = (inertia.ixx, inertia.iyy, inertia.izz)
        expected = [t / moment / HZ for t, moment in zip(torque, moments, strict=True)]
        assert rates == pytest.approx(expected, abs=1e-9)
        assert quad.velocity == pytest.approx((0.0, 0.0, 0.2 * GRAVITY / HZ), abs=1e-9)
    finally:
        pybullet.disconnect(client)


# Drag


def test_it_falls_no_faster_than_its_drag_allows(client: int) -> None:
    """Rotors stopped: c_z v^2 = m g."""
    airframe = load_airframe("hummingbird")
    quad = spawn(client, airframe)
    quad.rotor_speeds = (0.0,) * 4
    coast(quad, 20.0)
    assert -quad.velocity[2] == pytest.approx(math.sqrt(airframe.mass * GRAVITY / airframe.drag.z), rel=1e-3)


@both
def test_it_sinks_at_the_speed_that_inflow_and_drag_carry(client: int, name: str) -> None:
    """Rotors at 95% of hover: c_z v^2 + k_z turning v = (1 - 0.95^2) m g."""
    airframe = load_airframe(name)
    quad = spawn(client, airframe)
    quad.rotor_speeds = tuple(0.95 * speed for speed in quad.rotor_speeds)
    coast(quad, 60.0)
    linear, lacking = (
        airframe.rotor.inflow * sum(quad.rotor_speeds),
        (1.0 - 0.95**2) * airframe.mass * GRAVITY,
    )
    square = airframe.drag.z
    speed = lacking / linear
    for _ in range(50):
        speed = lacking / (linear + square * speed)
    assert -quad.velocity[2] == pytest.approx(speed, rel=1e-3)


def test_a_tilted_glide_ends_where_forces_balance(client: int) -> None:
    """Equal rotors keep the tilt; at terminal velocity gravity, thrust and drag sum to nothing on each
    body axis."""
    airframe, lean = load_airframe("hummingbird"), math.radians(15.0)
    quad = spawn(client, airframe)
    tilted = (0.0, math.sin(lean / 2.0), 0.0, math.cos(lean / 2.0))
    pybullet.resetBasePositionAndOrientation(quad.body, (0.0, 0.0, 300.0), tilted, physicsClientId=client)
    quad.read()
    coast(quad, 25.0)
    turn = np.array(rotation_matrix(quad.orientation)).reshape(3, 3)
    along, _, up = turn.T @ np.array(quad.velocity)
    speed, turning = math.hypot(along, up), sum(quad.rotor_speeds)
    thrust = sum(airframe.rotor.thrust * w**2 for w in quad.rotor_speeds)
    weight = turn.T @ np.array((0.0, 0.0, -airframe.mass * GRAVITY))
    balance_x = weight[0] - (airframe.drag.x * speed + airframe.rotor.drag * turning) * along
    balance_z = weight[2] + thrust - (airframe.drag.z * speed + airframe.rotor.inflow * turning) * up
    assert abs(along) > 2.0
    assert (balance_x, balance_z) == pytest.approx((0.0, 0.0), abs=0.002 * airframe.mass * GRAVITY)


def test_only_the_velocity_through_the_air_matters(client: int) -> None:
    """Galileo: a wind and no wind with the opposite velocity give the same accelerations."""
    ends = []
    for velocity, wind in (((0.0, 0.0, 0.0), (3.0, -1.0, 0.5)), ((-3.0, 1.0, -0.5), CALM)):
        quad = spawn(client, load_airframe("hummingbird"))
        pybullet.resetBaseVelocity(quad.body, velocity, physicsClientId=client)
        quad.read()
        coast(quad, 1.0, wind)
        ends.append(np.subtract(quad.velocity, velocity))
    assert ends[0] == pytest.approx(ends[1], abs=1e-9)


# The cascade


def shaped(target: float, acceleration: float, jerk: float, steps: int) -> tuple[Array, Array]:
    """The velocity setpoint after a step of the command, and its acceleration.

    The setpoint approaches the command at the rate jerk / acceleration, its acceleration bounded by
    `acceleration` and the change of it by `jerk`.
    """
    v = a = 0.0
    velocities, accelerations = [], []
    for _ in range(steps):
        wanted = max(-acceleration, min(acceleration, (target - v) * jerk / acceleration))
        a += max(-jerk / HZ, min(jerk / HZ, wanted - a))
        v += a / HZ
        velocities.append(v)
        accelerations.append(a)
    return np.array(velocities), np.array(accelerations)


def linear_step(airframe: Airframe, target: float, seconds: float, vertical: bool) -> Array:
    """Velocity after a step of the velocity command, from the cascade linearised about hover.

    With s the setpoint, e = s - v and D the rotors' drag per mass in hover,

        demand   u  = s' + D s + k_v e + k_i integral(e)
        forward  v' = g tilt - D v,   tilt' = rate,
                 rate' = torque,      torque' = (k_rate (k_att (u / g - tilt) - rate) - torque) / lag
        upward   v' = lift - D v,     lift' = (u - lift) / lag

    where torque is per moment of inertia and lift per mass (a thrust near hover is linear in the rotor
    speed, so it follows with the motors' lag). The rotors' drag per mass is 4 k_d w / m forward and 4
    k_z w / m upward.
    """
    gains, rotor = airframe.controller, airframe.rotor
    hover = math.sqrt(airframe.mass * GRAVITY / (4.0 * rotor.thrust))
    drag = 4.0 * (rotor.inflow if vertical else rotor.drag) * hover / airframe.mass
    fine = 20  # steps of integration per physics step
    step = 1.0 / (HZ * fine)
    setpoints, accelerations = shaped(target, gains.acceleration, gains.jerk, round(seconds * HZ))
    v = integral = lift = tilt = rate = torque = 0.0
    velocities = []
    for setpoint, acceleration in zip(setpoints, accelerations, strict=True):
        for _ in range(fine):
            error = setpoint - v
            integral += gains.velocity_integral * error * step
            demand = acceleration + drag * setpoint + gains.velocity * error + integral
            lift += (demand - lift) / rotor.time_constant * step
            wanted = gains.rate * (gains.attitude * (demand / GRAVITY - tilt) - rate)
            torque += (wanted - torque) / rotor.time_constant * step
            rate += torque * step
            tilt += rate * step
            v += ((lift if vertical else GRAVITY * tilt) - drag * v) * step
        velocities.append(v)
    return np.array(velocities)


@both
@pytest.mark.parametrize("target", [0.5, 1.5])
def test_a_step_forward_follows_the_linearised_model(client: int, name: str, target: float) -> None:
    airframe = load_airframe(name)
    quad = spawn(client, airframe, yaw=2.0)
    found = fly(quad, VelocityCommand(target, 0.0, 0.0, 0.0), 5.0)
    forward = found[:, 0] * math.cos(2.0) + found[:, 1] * math.sin(2.0)
    assert np.abs(forward - linear_step(airframe, target, 5.0, vertical=False)).max() < 0.03 * target


@both
@pytest.mark.parametrize("target", [-0.8, 0.8])
def test_a_step_upward_follows_the_linearised_model(client: int, name: str, target: float) -> None:
    airframe = load_airframe(name)
    upward = fly(spawn(client, airframe), VelocityCommand(0.0, 0.0, target, 0.0), 5.0)[:, 2]
    assert np.abs(upward - linear_step(airframe, target, 5.0, vertical=True)).max() < 0.015 * abs(target)


@both
def test_a_step_forward_rises_and_settles_like_a_pilots(client: int, name: str) -> None:
    """To 90% of 1.5 m/s within 0.9 s, at most 10% above it, within 7% from 1 s and 2% from 2.5 s on."""
    forward = fly(spawn(client, load_airframe(name)), VelocityCommand(1.5, 0.0, 0.0, 0.0), 5.0)[:, 0] / 1.5
    assert np.argmax(forward > 0.9) < 0.9 * HZ
    assert forward.max() < 1.1
    assert np.abs(forward[HZ:] - 1.0).max() < 0.07
    assert np.abs(forward[round(2.5 * HZ) :] - 1.0).max() < 0.02


@both
def test_a_step_upward_rises_and_settles_like_a_pilots(client: int, name: str) -> None:
    """To 90% of 0.8 m/s within 0.9 s, never above it by 2%, within 5% of it from 1.1 s on."""
    upward = fly(spawn(client, load_airframe(name)), VelocityCommand(0.0, 0.0, 0.8, 0.0), 5.0)[:, 2] / 0.8
    assert np.argmax(upward > 0.9) < 0.9 * HZ
    assert upward.max() < 1.02
    assert np.abs(upward[round(1.1 * HZ) :] - 1.0).max() < 0.05


@both
def test_the_yaw_rate_follows_and_the_heading_catches_up(client: int, name: str) -> None:
    """The heading setpoint runs at the shaped rate as the motors let it through, so the heading made good
    after 5 s lacks the shaping's lag (half of rate / yaw_acceleration) and the motors', and the rate has
    nothing to catch up: no overshoot to speak of."""
    airframe = load_airframe(name)
    quad = spawn(client, airframe)
    rates = fly(quad, VelocityCommand(0.0, 0.0, 0.0, 0.6), 5.0)[:, 3]
    made_good = float(rates.sum()) / HZ
    assert made_good == pytest.approx(
        0.6 * (5.0 - 0.6 / airframe.controller.yaw_acceleration / 2.0 - airframe.rotor.time_constant),
        abs=0.01,
    )
    assert rates.max() < 1.03 * 0.6
    assert rates[-1] == pytest.approx(0.6, abs=0.01)


@both
@pytest.mark.parametrize(("turning", "median", "most"), [(0.0, 0.13, 0.26), (0.8, 0.2, 0.7)])
def test_it_follows_a_pilots_commands(
    client: int, name: str, turning: float, median: float, most: float
) -> None:
    """A minute of random commands, a new one each 2.5 s; errors (m/s) from 1.5 s after each change.

    A commanded velocity turns with the heading, so while yawing the velocity lags behind it for good:
    by about speed * yaw rate * the shaping's time constant, acceleration / jerk.
    """
    rng = np.random.default_rng(0)
    airframe = load_airframe(name)
    quad = spawn(client, airframe)
    errors, leans = [], []
    for _ in range(24):
        forward, left, up, yaw = rng.uniform((-1.0, -1.0, -0.8, -1.0), (2.0, 1.0, 0.8, 1.0)).tolist()
        command = VelocityCommand(forward, left, up, turning * yaw)
        for step in range(round(2.5 * HZ)):
            quad.actuate(command, CALM)
            advance(quad)
            leans.append(math.acos(min(1.0, rotation_matrix(quad.orientation)[8])))
            if step >= 1.5 * HZ:
                c, s = math.cos(quad.heading), math.sin(quad.heading)
                errors.append(math.dist(quad.velocity, (forward * c - left * s, forward * s + left * c, up)))
    assert np.median(errors) < median
    assert max(errors) < most
    assert max(leans) < airframe.controller.tilt


@both
def test_the_motion_is_bounded_as_the_airframe_file_says(client: int, name: str) -> None:
    """The setpoint keeps to its acceleration; the vehicle, catching up, exceeds it by half at most."""
    airframe = load_airframe(name)
    quad = spawn(client, airframe)
    parts = [
        fly(quad, VelocityCommand(*command), 1.5)
        for command in ((2.0, 0.0, 0.0, 0.0), (-1.0, 0.0, 0.5, 0.0), (2.0, 1.0, -0.5, 0.0))
    ]
    accelerations = np.diff(np.concatenate(parts)[:, :3], axis=0) * HZ
    assert np.linalg.norm(accelerations, axis=1).max() < 1.5 * airframe.controller.acceleration


# Allocation, interface


@given(
    thrust=st.floats(0.0, 60.0),
    roll=st.floats(-3.0, 3.0),
    pitch=st.floats(-3.0, 3.0),
    yaw=st.floats(-2.0, 2.0),
)
def test_no_rotor_is_asked_for_more_than_it_has(thrust: float, roll: float, pitch: float, yaw: float) -> None:
    airframe = load_airframe("hummingbird")
    quad = Quadrotor(-1, airframe)
    limit = airframe.rotor.thrust * airframe.rotor.speed_max**2
    assert all(0.0 <= t <= limit for t in quad.allocate(thrust, roll, pitch, yaw))


@given(
    thrust=st.floats(4.0, 12.0),
    roll=st.floats(-0.1, 0.1),
    pitch=st.floats(-0.1, 0.1),
    yaw=st.floats(-0.01, 0.01),
)
def test_away_from_saturation_the_rotors_give_what_is_asked(
    thrust: float, roll: float, pitch: float, yaw: float
) -> None:
    airframe = load_airframe("hummingbird")
    reach, kappa = airframe.geometry.arm * math.sqrt(0.5), airframe.rotor.torque / airframe.rotor.thrust
    t1, t2, t3, t4 = Quadrotor(-1, airframe).allocate(thrust, roll, pitch, yaw)  # front left, then clockwise
    assert t1 + t2 + t3 + t4 == pytest.approx(thrust)
    assert reach * (t1 + t4 - t2 - t3) == pytest.approx(roll, abs=1e-12)
    assert reach * (t3 + t4 - t1 - t2) == pytest.approx(pitch, abs=1e-12)
    assert kappa * (t1 + t3 - t2 - t4) == pytest.approx(yaw, abs=1e-12)


def test_a_recovery_from_upside_down_ends_in_level_flight(client: int) -> None:
    quad = spawn(client, load_airframe("hummingbird"))
    pybullet.resetBasePositionAndOrientation(
        quad.body, (0.0, 0.0, 100.0), (math.sin(1.3), 0.0, 0.0, math.cos(1.3)), physicsClientId=client
    )
    quad.read()
    found = fly(quad, ZERO_COMMAND, 8.0)
    assert np.abs(found[-1]).max() < 0.1
    assert rotation_matrix(quad.orientation)[8] > 0.999


@both
def test_the_same_commands_give_the_same_flight_bit_for_bit(client: int, name: str) -> None:
    flights = []
    for _ in range(2):
        quad = spawn(client, load_airframe(name), yaw=0.3)
        first = fly(quad, VelocityCommand(1.0, -0.5, 0.3, 0.7), 1.0, (1.0, 2.0, 0.0))
        flights.append((first.tobytes(), quad.position, quad.orientation))
    assert flights[0] == flights[1]


FLIGHT = """
from navstack.contract import VelocityCommand
from navstack.envs.physics import pybullet
from navstack.envs.vehicle import Quadrotor, load_airframe
client = pybullet.connect(pybullet.DIRECT)
pybullet.setGravity(0.0, 0.0, -9.81, physicsClientId=client)
quad = Quadrotor(client, load_airframe("hummingbird"))
quad.spawn((0.0, 0.0, 100.0), 0.3)
for _ in range(240):
    quad.actuate(VelocityCommand(1.0, -0.5, 0.3, 0.7), (1.0, 2.0, 0.0))
    pybullet.stepSimulation(physicsClientId=client)
    quad.read()
print([number.hex() for number in (*quad.position, *quad.orientation, *quad.velocity)])
"""


def test_two_processes_fly_the_same_flight_bit_for_bit(tmp_path: Path) -> None:
    one, two = (
        subprocess.run(
            [sys.executable, "-c", FLIGHT], capture_output=True, text=True, check=True, cwd=tmp_path
        ).stdout
        for _ in range(2)
    )
    assert one.count("0x") == 10
    assert one == two


def test_the_camera_sits_at_the_nose(client: int) -> None:
    quad = spawn(client, load_airframe("hummingbird"), yaw=math.pi / 2.0)
    ahead, left, above = quad.airframe.geometry.camera_offset_flu
    assert quad.camera_position() == pytest.approx((-left, ahead, 100.0 + above))


def test_the_state_says_what_was_read(client: int) -> None:
    quad = spawn(client, load_airframe("hummingbird"), yaw=math.pi / 2.0)
    pybullet.resetBaseVelocity(quad.body, (1.0, 2.0, 3.0), (0.1, 0.2, 0.3), physicsClientId=client)
    quad.read()
    state = quad.state(4.0)
    assert (state.time, state.position_enu, state.velocity_enu) == (4.0, (0.0, 0.0, 100.0), (1.0, 2.0, 3.0))
    assert state.yaw == pytest.approx(quad.heading) == pytest.approx(math.pi / 2.0)
    assert state.angular_velocity_flu == pytest.approx((0.2, -0.1, 0.3))


@given(
    st.tuples(*[st.floats(-1.0, 1.0)] * 4).filter(lambda q: math.hypot(*q) > 0.1),
)
def test_the_rotation_matrix_is_bullets(quaternion: tuple[float, float, float, float]) -> None:
    x, y, z, w = (part / math.hypot(*quaternion) for part in quaternion)
    ours = rotation_matrix((x, y, z, w))
    assert ours == pytest.approx(pybullet.getMatrixFromQuaternion((x, y, z, w)), abs=1e-12)
    for row, other in pairwise(np.array(ours).reshape(3, 3)):
        assert float(row @ other) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("airframe", ["hummingbird", "crazyflie"])
def test_the_vehicle_is_drawn_where_it_is_shown_and_never_before_its_own_camera(airframe: str) -> None:
    made = NavigationEnv(world="meadow", airframe=airframe, render_mode="rgb_array")
    made.reset(seed=3)
    simulator = made.simulator
    vehicle = simulator.vehicle
    hidden = chase_view(simulator.client, vehicle.position, vehicle.heading, simulator.scene)
    assert not np.array_equal(made.render(), hidden)
    for pitch in (-0.3, 0.0, 0.3):  # more than any mount is tilted
        camera = Camera(simulator.client, CameraSpec(horizontal_fov=math.radians(100.0), pitch=pitch))
        place = (vehicle.camera_position(), vehicle.orientation, simulator.scene)
        with vehicle.shown():
            shown = camera.render(*place)
        np.testing.assert_array_equal(camera.render(*place), shown)
    made.close()


# The same commands on every airframe

FOLLOWS = {"crazyflie": (0.16, 0.5, 1.1), "hummingbird": (0.09, 0.43, 0.9), "x500": (0.11, 0.45, 1.2)}
"""Median and root mean square error of the velocity (m/s), how far off the flights end (m); with margins."""


@both
def test_the_same_recorded_commands_are_followed_on_every_airframe(client: int, name: str) -> None:
    """A pilot's commands of two flights, recorded once (data/flight_commands.json says how), flown blind.

    The error is that of the velocity in the level body frame against the command of that instant: the two
    starts from rest with 1.5 m/s commanded at once are in it. `place` is where a vehicle without lag ends.
    """
    recorded = json.loads((Path(__file__).parent / "data" / "flight_commands.json").read_text())
    quad = spawn(client, load_airframe(name))
    errors, heading, place = [], 0.0, np.zeros(3)
    for row in recorded["commands"]:
        command = VelocityCommand(*row)
        for _ in range(HZ // recorded["rate_hz"]):
            quad.actuate(command, CALM)
            advance(quad)
            heading += command.yaw_rate / HZ
            c, s = math.cos(heading), math.sin(heading)
            forward, left, up = command.forward, command.left, command.up
            place += np.array((forward * c - left * s, forward * s + left * c, up)) / HZ
            c, s = math.cos(quad.heading), math.sin(quad.heading)
            flown = quad.velocity
            errors.append(
                (flown[0] * c + flown[1] * s - forward, flown[1] * c - flown[0] * s - left, flown[2] - up)
            )
    sizes = np.linalg.norm(errors, axis=1)
    away = math.dist(np.subtract(quad.position, (0.0, 0.0, 100.0)), place)
    found = (float(np.median(sizes)), float(np.sqrt((sizes**2).mean())), away)
    assert all(value < most for value, most in zip(found, FOLLOWS[name], strict=True))
