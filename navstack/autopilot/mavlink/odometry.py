"""Motion from an estimator that sends MAVLink's ODOMETRY: visual-inertial odometry, motion capture, and such.

It is what PX4 and ArduCopter take from a companion computer, so whatever feeds them feeds this. Believed is a
pose in LOCAL_NED or LOCAL_FRD with a velocity in BODY_FRD, from one sender, newer than the one before.

Source: mavlink.io, common.xml, ODOMETRY (331); PX4 src/modules/mavlink/mavlink_receiver.cpp,
handle_message_odometry (both frames, and the quaternion from body to local).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.mavlink.codec import Codec
from navstack.autopilot.mavlink.frames import ned_to_enu, yaw_ned_to_enu
from navstack.autopilot.mavlink.messages import COMPONENT
from navstack.autopilot.motion import Motion
from navstack.autopilot.transport import Transport
from navstack.contract import Vector3
from navstack.flight import Clock

UNCERTAIN = 0.5  # m/s, standard deviation of a velocity beyond which it is not flown by
FASTEST, FURTHEST = 50.0, 1e5  # m/s, m: what says more is damaged
REBOOT = 1.0  # s that a stamp must go back to be of a clock that began anew
CREEP = 1e-3  # s per s that the two clocks may drift apart
RATE_OVER = 30  # messages that the rate is told over
_POSES = (dialect.MAV_FRAME_LOCAL_NED, dialect.MAV_FRAME_LOCAL_FRD)
_VARIANCES = (0, 6, 11)  # of vx, vy, vz in the upper triangle of a 6 x 6 matrix
_KINDS = {
    1: "naive", 2: "vision", 3: "visual-inertial", 4: "GPS", 5: "GPS-inertial", 6: "motion capture",
    7: "lidar", 8: "autopilot",
}  # fmt: skip  # MAV_ESTIMATOR_TYPE


class Odometry:
    """A `MotionSource`.

    Args:
        transport: bytes from the estimator; nothing is ever sent.
        clock: the flight loop's.
        address: where it sends, for findings.
        signing_key: 32 bytes; with them, what is not signed is not heard.
        unix_time: s; only the signature's timestamp uses it.
    """

    def __init__(
        self, transport: Transport, clock: Clock, address: str = "", signing_key: bytes | None = None,
        unix_time: float = 0.0,
    ) -> None:  # fmt: skip
        self._transport, self._clock, self._address = transport, clock, address
        self._codec = Codec(1, COMPONENT, signing_key, unix_time)
        self._motion: Motion | None = None
        self._sender: tuple[int, int] | None = None
        self._kind = ""
        self._stamp = self._lag = -math.inf  # s: the newest stamp; our clock less theirs, at the least
        self._stamps: deque[float] = deque(maxlen=RATE_OVER)  # s
        self._bad = ""
        self.strangers = 0  # messages of further senders, not listened to

    @property
    def name(self) -> str:
        """What it is and how often it comes."""
        if self._sender is None:
            return f"ODOMETRY at {self._address}"
        system, component = self._sender
        span = self._stamps[-1] - self._stamps[0]
        rate = f", {(len(self._stamps) - 1) / span:.0f} a second" if span > 0.0 else ""
        kind = f"{self._kind}, " if self._kind else ""
        return f"ODOMETRY ({kind}system {system} component {component}) at {self._address}{rate}"

    @property
    def complaint(self) -> str:
        """Why the newest is not to be believed."""
        if self._sender is None and not self._bad:
            return f"no ODOMETRY has come at {self._address}"
        return self._bad

    def motion(self) -> Motion | None:
        """The newest that is to be believed. Raises OSError where the connection broke."""
        now = self._clock.now()
        for piece in self._transport.read():
            for message in self._codec.decode(piece, self._transport.datagrams):
                if message.get_type() == "ODOMETRY":
                    self._take(message, now)
        return self._motion

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _take(self, message: Any, now: float) -> None:
        sender = (message.get_srcSystem(), message.get_srcComponent())
        self._sender = self._sender or sender
        if sender != self._sender:
            self.strangers += 1
            return
        stamp = message.time_usec * 1e-6
        if self._stamp - REBOOT < stamp <= self._stamp:
            return  # late, or repeated: what stands still grows old
        self._kind = _KINDS.get(message.estimator_type, "")
        time = self._time(stamp, now)
        self._stamps.append(stamp)
        self._bad = wrong_with(message)
        if not self._bad:
            self._motion = _motion(message, time)

    def _time(self, stamp: float, now: float) -> float:
        """When it was so on our clock: the message that came quickest tells how the clocks differ.

        A queue that builds up on the way makes what it holds old, as it is.
        """
        lag, passed = now - stamp, stamp - self._stamp
        if 0.0 < passed < math.inf:
            self._lag = min(lag, self._lag + CREEP * passed)
        else:
            self._lag = lag
        self._stamp = stamp
        return stamp + self._lag


def wrong_with(message: Any) -> str:
    """Why an ODOMETRY message must not be flown by; empty where it may."""
    if message.frame_id not in _POSES:
        return f"ODOMETRY's pose is in frame {message.frame_id}; expected LOCAL_NED (1) or LOCAL_FRD (20)"
    if message.child_frame_id != dialect.MAV_FRAME_BODY_FRD:
        return f"ODOMETRY's velocity is in frame {message.child_frame_id}; expected BODY_FRD (12)"
    velocity, position = (message.vx, message.vy, message.vz), (message.x, message.y, message.z)
    if not all(map(math.isfinite, (*velocity, *position, *message.q))):
        return "ODOMETRY holds numbers that are not finite"
    if not 0.9 < math.hypot(*message.q) < 1.1:
        return f"ODOMETRY's quaternion has length {math.hypot(*message.q):.2f}; expected 1"
    if math.hypot(*velocity) > FASTEST or math.hypot(*position) > FURTHEST:
        return "ODOMETRY tells of a speed or a distance that no vehicle has"
    if message.quality < 0:
        return "the estimator says that it has failed (quality -1)"
    variances = [message.velocity_covariance[place] for place in _VARIANCES]
    known = [variance for variance in variances if not math.isnan(variance)]
    if known and max(known) > UNCERTAIN**2:
        return f"the estimator's velocity is uncertain by {math.sqrt(max(known)):.1f} m/s"
    return ""


def _motion(message: Any, time: float) -> Motion:
    """The message in the contract's frames."""
    length = math.hypot(*message.q)
    w, x, y, z = (part / length for part in message.q)
    velocity = _turned((w, x, y, z), (message.vx, message.vy, message.vz))
    yaw = yaw_ned_to_enu(math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))
    return Motion(time, ned_to_enu((message.x, message.y, message.z)), ned_to_enu(velocity), yaw)


def _turned(q: tuple[float, float, float, float], v: Vector3) -> Vector3:
    """A vector turned by the unit quaternion w, x, y, z."""
    w, x, y, z = q
    tx, ty, tz = 2.0 * (y * v[2] - z * v[1]), 2.0 * (z * v[0] - x * v[2]), 2.0 * (x * v[1] - y * v[0])
    return (
        v[0] + w * tx + y * tz - z * ty, v[1] + w * ty + z * tx - x * tz, v[2] + w * tz + x * ty - y * tx,
    )  # fmt: skip
