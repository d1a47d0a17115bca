"""Motion from ODOMETRY: right in every attitude, true to its age, and deaf to what is no estimate."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import common

from navstack.autopilot.mavlink.odometry import Odometry

NAN = float("nan")


class Wire:
    """Transport and clock of an estimator."""

    datagrams = True

    def __init__(self, key=None):
        self.time, self.pieces = 50.0, []
        self.mav = common.MAVLink(None, srcSystem=3, srcComponent=197)
        if key is not None:
            self.mav.signing.secret_key, self.mav.signing.sign_outgoing = key, True
            self.mav.signing.timestamp = 1
        self.source = Odometry(self, self, "udpin:127.0.0.1:14600")

    def now(self):
        return self.time

    def read(self):
        pieces, self.pieces = self.pieces, []
        return pieces

    def close(self):
        pass

    def send(self, stamp, sender=None, **fields):
        values = {
            "frame_id": common.MAV_FRAME_LOCAL_NED, "child_frame_id": common.MAV_FRAME_BODY_FRD,
            "x": 0.0, "y": 0.0, "z": 0.0, "q": [1.0, 0.0, 0.0, 0.0], "vx": 0.0, "vy": 0.0, "vz": 0.0,
            "rollspeed": 0.0, "pitchspeed": 0.0, "yawspeed": 0.0, "pose_covariance": [NAN] * 21,
            "velocity_covariance": [NAN] * 21, "reset_counter": 0,
            "estimator_type": common.MAV_ESTIMATOR_TYPE_VIO, "quality": 100,
        } | fields  # fmt: skip
        if sender is not None:
            self.mav.srcSystem = sender
        message = common.MAVLink_odometry_message(time_usec=round(stamp * 1e6), **values)
        self.pieces.append(message.pack(self.mav))
        return self.source.motion()


def rotation(yaw, pitch, roll):
    """From body FRD to NED, as three matrices multiplied: an independent way to the quaternion's."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (math.cos, math.sin))
    z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return z @ y @ x


def quaternion(m):
    """w, x, y, z of a rotation: the eigenvector of Bar-Itzhack's symmetric matrix (2000)."""
    half = np.zeros((4, 4))
    half[np.tril_indices(4)] = (
        m[0, 0] - m[1, 1] - m[2, 2],
        m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2],
        m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1],
        m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m),
    )  # fmt: skip
    x, y, z, w = np.linalg.eigh(half)[1][:, -1]
    return [w, x, y, z]


angles = st.floats(-3.1, 3.1)
tilts = st.floats(-1.2, 1.2)
speeds = st.tuples(*[st.floats(-5.0, 5.0)] * 3)


@given(angles, tilts, tilts, speeds, st.tuples(*[st.floats(-100.0, 100.0)] * 3))
def test_velocity_position_and_heading_are_right_in_every_attitude(yaw, pitch, roll, body, place):
    turned = rotation(yaw, pitch, roll)
    north, east, down = turned @ body
    motion = Wire().send(
        1.0, q=quaternion(turned), vx=body[0], vy=body[1], vz=body[2], x=place[0], y=place[1], z=place[2]
    )
    assert motion.velocity_enu == pytest.approx((east, north, -down), abs=1e-4)
    assert motion.position_enu == pytest.approx((place[1], place[0], -place[2]), abs=1e-4)
    assert math.remainder(motion.yaw - (math.pi / 2 - yaw), math.tau) == pytest.approx(0.0, abs=1e-4)
    ahead = north * math.cos(yaw) + east * math.sin(yaw)
    right = east * math.cos(yaw) - north * math.sin(yaw)
    assert motion.velocity_level == pytest.approx((ahead, -right, -down), abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"frame_id": common.MAV_FRAME_LOCAL_FLU}, "frame 21; expected LOCAL_NED"),
        ({"child_frame_id": common.MAV_FRAME_LOCAL_NED}, "frame 1; expected BODY_FRD"),
        ({"vx": NAN}, "not finite"),
        ({"z": float("inf")}, "not finite"),
        ({"q": [NAN] * 4}, "not finite"),
        ({"q": [0.5, 0.0, 0.0, 0.0]}, "length 0.50"),
        ({"vy": 80.0}, "no vehicle has"),
        ({"x": 1e6}, "no vehicle has"),
        ({"quality": -1}, "has failed"),
        ({"velocity_covariance": [0.01] * 6 + [1.44] + [0.01] * 14}, "uncertain by 1.2 m/s"),
    ],
)
def test_what_is_no_estimate_is_not_flown_by_and_a_good_one_heals_it(fields, complaint):
    wire = Wire()
    good = wire.send(1.0, vx=0.5)
    wire.time += 0.05
    assert wire.send(1.05, **fields) == good
    assert complaint in wire.source.complaint
    wire.time += 0.05
    assert wire.send(1.1, vx=0.7).velocity_level[0] == pytest.approx(0.7)
    assert wire.source.complaint == ""


def test_before_the_first_it_says_where_it_listens():
    wire = Wire()
    assert wire.source.motion() is None
    assert wire.source.complaint == "no ODOMETRY has come at udpin:127.0.0.1:14600"


def test_a_queue_on_the_way_makes_an_estimate_old():
    wire = Wire()
    for turn in range(100):  # 20 a second are made, 10 a second arrive
        motion = wire.send(1000.0 + 0.05 * turn)
        wire.time += 0.1
    assert wire.now() - motion.time > 4.0


def test_what_stands_still_or_comes_late_grows_old():
    wire = Wire()
    first = wire.send(7.0, vx=1.0)
    wire.time += 0.4
    assert wire.send(7.0, vx=2.0) == first
    assert wire.send(6.9, vx=3.0) == first


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_is_stepped_by_an_hour_ages_nothing(step):
    wire = Wire()
    for turn in range(20):
        motion = wire.send(5000.0 + 0.05 * turn + (step if turn >= 10 else 0.0), vx=float(turn))
        assert motion.velocity_level[0] == pytest.approx(turn)
        assert wire.now() - motion.time < 0.06
        wire.time += 0.05


def test_only_the_first_sender_is_heard():
    wire = Wire()
    wire.send(1.0, vx=1.0)
    wire.time += 0.05
    assert wire.send(2.0, sender=9, vx=-1.0).velocity_level[0] == pytest.approx(1.0)
    assert wire.source.strangers == 1
    assert "visual-inertial, system 3 component 197" in wire.source.name


def test_with_a_key_only_what_is_signed_is_heard():
    key = bytes(range(32))
    wire = Wire(key)
    wire.source = Odometry(wire, wire, "udpin:127.0.0.1:14600", key, 1420070400.0)
    wire.mav.signing.sign_outgoing = False
    assert wire.send(1.0) is None
    wire.mav.signing.sign_outgoing = True
    assert wire.send(1.1) is not None


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_no_bytes_make_it_fall_over(pieces):
    wire = Wire()
    wire.pieces = pieces
    wire.source.motion()
    wire.time += 1.0
    assert wire.send(1.0) is not None
