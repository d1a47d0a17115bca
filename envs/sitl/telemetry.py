"""EMULATED: the messages that the autopilot sends of itself, from the true state and what was told to lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.frames import enu_to_ned, euler_from_orientation, flu_to_frd
from navstack.contract import Vector3

if TYPE_CHECKING:
    from navstack.envs.sitl.autopilot import EmulatedAutopilot

ORIGIN = (47.397742, 8.545594, 488.0)  # degrees, degrees, m: where PX4's own simulators stand
METRES_PER_DEGREE = 111_319.5
GOOD_ESTIMATE = 0x33F  # attitude, velocities, positions
HEARTBEAT_INTERVAL = 1.0  # s


@dataclass(slots=True)
class Reported:
    """What the autopilot believes that is not so, and other things that go wrong: for trying faults."""

    position_offset: Vector3 = (0.0, 0.0, 0.0)  # m, ENU
    yaw_offset: float = 0.0  # rad, clockwise
    estimator_flags: int = GOOD_ESTIMATE
    position_frozen: bool = False  # no position and velocity are sent
    attitude_frozen: bool = False  # no attitude is sent
    battery: float = 0.9  # fraction
    voltage: float = 15.6  # V
    charge_state: int = 1  # MAV_BATTERY_CHARGE_STATE: ok


def _attitude(a: EmulatedAutopilot) -> Any:
    if a.reported.attitude_frozen:
        return None
    state = a.body.state()
    roll, pitch, yaw = euler_from_orientation(state.orientation)
    rates = flu_to_frd(state.angular_velocity_flu)
    yaw = math.remainder(yaw + a.reported.yaw_offset, math.tau)
    return dialect.MAVLink_attitude_message(a.boot_ms(), roll, pitch, yaw, *rates)


def _local_position(a: EmulatedAutopilot) -> Any:
    if a.reported.position_frozen:
        return None
    state, offset = a.body.state(), a.reported.position_offset
    position = enu_to_ned(tuple(p + o for p, o in zip(state.position_enu, offset, strict=True)))  # type: ignore[arg-type]
    return dialect.MAVLink_local_position_ned_message(a.boot_ms(), *position, *enu_to_ned(state.velocity_enu))


def _geodetic(east: float, north: float, up: float) -> tuple[int, int, int]:
    latitude = ORIGIN[0] + north / METRES_PER_DEGREE
    longitude = ORIGIN[1] + east / (METRES_PER_DEGREE * math.cos(math.radians(ORIGIN[0])))
    return round(latitude * 1e7), round(longitude * 1e7), round((ORIGIN[2] + up) * 1e3)


def _global_position(a: EmulatedAutopilot) -> Any:
    state = a.body.state()
    vx, vy, vz = enu_to_ned(state.velocity_enu)
    yaw = euler_from_orientation(state.orientation)[2] % math.tau
    latitude, longitude, altitude = _geodetic(*state.position_enu)
    return dialect.MAVLink_global_position_int_message(
        a.boot_ms(), latitude, longitude, altitude, round(1e3 * (state.position_enu[2] - a.home[2])),
        round(1e2 * vx), round(1e2 * vy), round(1e2 * vz), min(35999, round(math.degrees(yaw) * 1e2)),
    )  # fmt: skip


def _gps(a: EmulatedAutopilot) -> Any:
    latitude, longitude, altitude = _geodetic(*a.body.state().position_enu)
    return dialect.MAVLink_gps_raw_int_message(
        a.boot_ms() * 1000, dialect.GPS_FIX_TYPE_3D_FIX, latitude, longitude, altitude, 80, 80, 0, 0, 14
    )


def _sys_status(a: EmulatedAutopilot) -> Any:
    sensors = 0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x200000
    r = a.reported
    return dialect.MAVLink_sys_status_message(
        sensors, sensors, sensors, 200, round(r.voltage * 1e3), 1500, round(100 * r.battery), *(0,) * 6
    )


def _battery(a: EmulatedAutopilot) -> Any:
    cells = [round(a.reported.voltage * 250)] * 4 + [0xFFFF] * 6
    return dialect.MAVLink_battery_status_message(
        0, 0, 0, 0x7FFF, cells, 1500, -1, -1, round(100 * a.reported.battery),
        charge_state=a.reported.charge_state,
    )  # fmt: skip


def _extended(a: EmulatedAutopilot) -> Any:
    landed = 1 if a.body.landed else {"climb": 3, "land": 4}.get(a.task, 2)
    return dialect.MAVLink_extended_sys_state_message(0, landed)


def _home(a: EmulatedAutopilot) -> Any:
    latitude, longitude, altitude = _geodetic(*a.home)
    return dialect.MAVLink_home_position_message(
        latitude, longitude, altitude, *enu_to_ned(a.home), [1.0, 0.0, 0.0, 0.0], 0.0, 0.0, 0.0
    )


def _estimator(a: EmulatedAutopilot) -> Any:
    flags = a.reported.estimator_flags
    if a.emulation.firmware is Firmware.PX4:
        return dialect.MAVLink_estimator_status_message(a.boot_ms() * 1000, flags, *(0.1,) * 8)
    return dialect.MAVLink_ekf_status_report_message(flags, *(0.1,) * 5)


def _target(a: EmulatedAutopilot) -> Any:
    flown = a.flown_ned
    if flown is None:
        return None
    return dialect.MAVLink_position_target_local_ned_message(
        a.boot_ms(), dialect.MAV_FRAME_LOCAL_NED, 0x05C7, 0.0, 0.0, 0.0, *flown[:3], 0.0, 0.0, 0.0, 0.0,
        flown[3],
    )  # fmt: skip


def heartbeat(a: EmulatedAutopilot) -> Any:
    """HEARTBEAT: mode and arming."""
    px4 = a.emulation.firmware is Firmware.PX4
    base = dialect.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | (dialect.MAV_MODE_FLAG_SAFETY_ARMED if a.armed else 0)
    return dialect.MAVLink_heartbeat_message(
        dialect.MAV_TYPE_QUADROTOR,
        dialect.MAV_AUTOPILOT_PX4 if px4 else dialect.MAV_AUTOPILOT_ARDUPILOTMEGA,
        base, a.mode, dialect.MAV_STATE_ACTIVE if a.armed else dialect.MAV_STATE_STANDBY, 3,
    )  # fmt: skip


def version(a: EmulatedAutopilot) -> Any:
    """AUTOPILOT_VERSION."""
    capabilities = dialect.MAV_PROTOCOL_CAPABILITY_MAVLINK2 | dialect.MAV_PROTOCOL_CAPABILITY_MISSION_INT
    capabilities |= dialect.MAV_PROTOCOL_CAPABILITY_SET_POSITION_TARGET_LOCAL_NED
    if a.emulation.firmware is Firmware.PX4:
        capabilities |= dialect.MAV_PROTOCOL_CAPABILITY_PARAM_ENCODE_BYTEWISE
    return dialect.MAVLink_autopilot_version_message(
        capabilities, a.emulation.version, 0, 0, 0, [0] * 8, [0] * 8, [0] * 8, 0, 0, 0xE0_0001
    )


MESSAGES: dict[int, tuple[float, Callable[[EmulatedAutopilot], Any]]] = {  # id -> interval in s, maker
    dialect.MAVLINK_MSG_ID_ATTITUDE: (0.1, _attitude),
    dialect.MAVLINK_MSG_ID_LOCAL_POSITION_NED: (0.1, _local_position),
    dialect.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: (0.2, _global_position),
    dialect.MAVLINK_MSG_ID_GPS_RAW_INT: (0.5, _gps),
    dialect.MAVLINK_MSG_ID_SYS_STATUS: (1.0, _sys_status),
    dialect.MAVLINK_MSG_ID_BATTERY_STATUS: (1.0, _battery),
    dialect.MAVLINK_MSG_ID_EXTENDED_SYS_STATE: (0.5, _extended),
    dialect.MAVLINK_MSG_ID_HOME_POSITION: (1.0, _home),
    dialect.MAVLINK_MSG_ID_POSITION_TARGET_LOCAL_NED: (0.5, _target),
}
ESTIMATOR = {
    Firmware.PX4: dialect.MAVLINK_MSG_ID_ESTIMATOR_STATUS,
    Firmware.ARDUCOPTER: dialect.MAVLINK_MSG_ID_EKF_STATUS_REPORT,
}
ESTIMATOR_MESSAGE = (0.5, _estimator)
