"""What differs between PX4 and ArduCopter: who they say they are, their modes, which frame to send.

Sources, by firmware file:
    PX4         src/modules/commander/px4_custom_mode.h (mode word: main << 16 | sub << 24)
    ArduCopter  ArduCopter/mode.h (Mode::Number)
    both        mavlink/common.xml (HEARTBEAT, AUTOPILOT_VERSION)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware, Identity

_PX4_MAIN = {1: "MANUAL", 2: "ALTCTL", 3: "POSCTL", 4: "AUTO", 5: "ACRO", 6: "OFFBOARD", 7: "STABILIZED",
             8: "RATTITUDE"}  # fmt: skip
_PX4_AUTO = {1: "READY", 2: "TAKEOFF", 3: "LOITER", 4: "MISSION", 5: "RTL", 6: "LAND", 8: "FOLLOW_TARGET",
             9: "PRECLAND"}  # fmt: skip
_ARDUCOPTER = {0: "STABILIZE", 1: "ACRO", 2: "ALT_HOLD", 3: "AUTO", 4: "GUIDED", 5: "LOITER", 6: "RTL",
               7: "CIRCLE", 9: "LAND", 11: "DRIFT", 13: "SPORT", 14: "FLIP", 15: "AUTOTUNE", 16: "POSHOLD",
               17: "BRAKE", 18: "THROW", 19: "AVOID_ADSB", 20: "GUIDED_NOGPS", 21: "SMART_RTL",
               22: "FLOWHOLD", 23: "FOLLOW", 24: "ZIGZAG", 25: "SYSTEMID", 26: "AUTOROTATE",
               27: "AUTO_RTL", 28: "TURTLE"}  # fmt: skip


def px4_mode(main: int, sub: int = 0) -> int:
    """PX4's mode word."""
    return main << 16 | sub << 24


@dataclass(frozen=True, slots=True)
class Rules:
    """One firmware's modes by purpose, and how it must be spoken to."""

    command: int  # where velocity setpoints are flown: OFFBOARD, GUIDED
    hold: int  # holds without sticks: AUTO.LOITER, BRAKE (never LOITER, whose climb is the throttle stick)
    land: int
    home: int  # return to launch
    takeoff: int  # the mode in which it takes off by itself
    stream_before: float  # s that setpoints must have streamed before the mode is asked for
    stream_aborts_takeoff: bool
    body_frame_since: tuple[int, int, int] | None  # turns BODY_NED by yaw alone since; None: not known to


RULES = {
    Firmware.PX4: Rules(
        command=px4_mode(6), hold=px4_mode(4, 3), land=px4_mode(4, 6), home=px4_mode(4, 5),
        takeoff=px4_mode(4, 2),
        # docs.px4.io, flight_modes/offboard: a stream at over 2 Hz for more than a second comes first.
        stream_before=1.2,
        stream_aborts_takeoff=False,
        # mavlink_receiver.cpp and FlightTaskOffboard.cpp have turned it by yaw and by the full attitude,
        # depending on the version (PX4-Autopilot #13373, #16739).
        body_frame_since=None,
    ),
    Firmware.ARDUCOPTER: Rules(
        command=4, hold=17, land=9, home=6, takeoff=4,
        stream_before=0.0,
        # ArduCopter/mode_guided.cpp, set_velaccel: a velocity target ends SubMode::TakeOff.
        stream_aborts_takeoff=True,
        # ArduCopter/GCS_MAVLink_Copter.cpp calls rotate_body_frame_to_NE, which takes cos and sin of yaw.
        body_frame_since=(4, 0, 0),
    ),
}  # fmt: skip

_AUTOPILOTS = {
    dialect.MAV_AUTOPILOT_PX4: Firmware.PX4,
    dialect.MAV_AUTOPILOT_ARDUPILOTMEGA: Firmware.ARDUCOPTER,
}
_VEHICLES = {
    dialect.MAV_TYPE_QUADROTOR: "quadrotor", dialect.MAV_TYPE_HEXAROTOR: "hexarotor",
    dialect.MAV_TYPE_OCTOROTOR: "octorotor", dialect.MAV_TYPE_TRICOPTER: "tricopter",
    dialect.MAV_TYPE_COAXIAL: "coaxial helicopter", dialect.MAV_TYPE_DODECAROTOR: "dodecarotor",
}  # fmt: skip


def mode_name(firmware: Firmware, number: int) -> str:
    """The firmware's own name of a mode."""
    if firmware is Firmware.ARDUCOPTER:
        return _ARDUCOPTER.get(number, f"UNKNOWN({number})")
    main, sub = number >> 16 & 0xFF, number >> 24 & 0xFF
    name = _PX4_MAIN.get(main)
    if name == "AUTO" and sub in _PX4_AUTO:
        return f"AUTO.{_PX4_AUTO[sub]}"
    return name if name and name != "AUTO" else f"UNKNOWN({number:#x})"


def identify(heartbeat: Any) -> Identity | None:
    """Who sent this HEARTBEAT, or None where it is no multicopter's autopilot that we know."""
    firmware, vehicle = _AUTOPILOTS.get(heartbeat.autopilot), _VEHICLES.get(heartbeat.type)
    if firmware is None or vehicle is None:
        return None
    return Identity(
        firmware, None, system_id=heartbeat.get_srcSystem(), component_id=heartbeat.get_srcComponent(),
        vehicle=vehicle,
    )  # fmt: skip


def with_version(identity: Identity, message: Any) -> Identity:
    """The identity with what AUTOPILOT_VERSION adds: version major, minor, patch, type; the board's id."""
    word = message.flight_sw_version
    kind = word & 0xFF
    name = next((n for least, n in _TYPES if kind >= least), "")
    version = (word >> 24 & 0xFF, word >> 16 & 0xFF, word >> 8 & 0xFF)
    uid = bytes(message.uid2).hex() if any(message.uid2) else f"{message.uid:016x}" if message.uid else ""
    return Identity(
        identity.firmware, version if word else None, name, identity.system_id, identity.component_id,
        identity.vehicle, uid,
    )  # fmt: skip


_TYPES = ((255, "release"), (192, "rc"), (128, "beta"), (64, "alpha"), (0, "dev"))  # FIRMWARE_VERSION_TYPE


def takes_body_frame(identity: Identity) -> bool:
    """Whether this firmware is known, by its version, to turn BODY_NED velocities by yaw alone."""
    since = RULES[identity.firmware].body_frame_since
    return since is not None and identity.version is not None and identity.version >= since
