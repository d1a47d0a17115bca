"""Conversions between ENU/FLU and NED/FRD hold for every attitude, heading and velocity."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from navstack.autopilot.mavlink.frames import (
    command_from_local_ned,
    command_to_body_ned,
    command_to_local_ned,
    euler_from_orientation,
    frd_to_flu,
    ned_to_enu,
    orientation_from_euler,
    yaw_ned_to_enu,
)
from navstack.contract import VelocityCommand, yaw_of

angle = st.floats(-math.pi, math.pi)
tilt = st.floats(-1.5, 1.5)
speed = st.floats(-3.0, 3.0)
ENU_OF_NED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
FLU_OF_FRD = np.diag([1.0, -1.0, -1.0])


def matrix_frd_to_ned(roll, pitch, yaw):
    """The z-y-x sequence, written out: the textbook matrix, independent of quaternions."""
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return np.array(
        [
            [cp * cy, sr * sp * cy - cr * sy, cr * sp * cy + sr * sy],
            [cp * sy, sr * sp * sy + cr * cy, cr * sp * sy - sr * cy],
            [-sp, sr * cp, cr * cp],
        ]
    )


def matrix_of(q):
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


@given(angle, tilt, angle)
def test_the_quaternion_turns_flu_into_enu_as_the_angles_turn_frd_into_ned(roll, pitch, yaw):
    theirs = ENU_OF_NED @ matrix_frd_to_ned(roll, pitch, yaw) @ FLU_OF_FRD
    np.testing.assert_allclose(matrix_of(orientation_from_euler(roll, pitch, yaw)), theirs, atol=1e-9)


@given(angle, tilt, angle)
def test_angles_survive_the_way_there_and_back(roll, pitch, yaw):
    back = euler_from_orientation(orientation_from_euler(roll, pitch, yaw))
    assert all(
        abs(math.remainder(a - b, math.tau)) < 1e-6 for a, b in zip(back, (roll, pitch, yaw), strict=True)
    )


@given(speed, speed, speed, st.floats(-1.2, 1.2), angle, tilt, tilt)
def test_a_command_flies_where_the_nose_points_whatever_roll_and_pitch(f, left, u, rate, yaw, roll, pitch):
    north, east, down, turn = command_to_local_ned(VelocityCommand(f, left, u, rate), yaw)
    east_, north_, up_ = ned_to_enu((north, east, down))
    heading = yaw_ned_to_enu(yaw)
    assert math.isclose(east_, f * math.cos(heading) - left * math.sin(heading), abs_tol=1e-9)
    assert math.isclose(north_, f * math.sin(heading) + left * math.cos(heading), abs_tol=1e-9)
    assert (up_, turn) == (u, -rate)
    if abs(pitch) < 1.4:
        believed = yaw_of(orientation_from_euler(roll, pitch, yaw))
        assert abs(math.remainder(believed - heading, math.tau)) < 1e-6


@given(speed, speed, speed, speed, angle)
def test_local_ned_and_the_level_body_frame_are_inverse(f, left, u, rate, yaw):
    back = command_from_local_ned(*command_to_local_ned(VelocityCommand(f, left, u, rate), yaw), yaw)
    np.testing.assert_allclose(back.as_array(), VelocityCommand(f, left, u, rate).as_array(), atol=1e-5)


def test_the_four_winds():
    forward = VelocityCommand(1.0, 0.0, 0.0, 0.0)
    for degrees, expected in {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}.items():
        north, east, _, _ = command_to_local_ned(forward, math.radians(degrees))
        assert (round(north, 9), round(east, 9)) == expected
    assert command_to_body_ned(VelocityCommand(1.0, 0.5, 0.2, 0.3)) == (1.0, -0.5, -0.2, -0.3)
    assert frd_to_flu((1.0, 2.0, 3.0)) == (1.0, -2.0, -3.0)
