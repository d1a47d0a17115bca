"""The messages that we send. All of them are in MAVLink's common dialect.

Sources: mavlink.io/en/messages/common.html; ardupilot.org/dev/docs/copter-commands-in-guided-mode.html (all
three axes of a velocity are required; 0x05C7 uses velocity and yaw rate); docs.px4.io, flight_modes/offboard.
"""

from __future__ import annotations

from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware, Identity
from navstack.autopilot.mavlink.asking import Ask
from navstack.autopilot.mavlink.firmware import takes_body_frame
from navstack.autopilot.mavlink.frames import command_to_body_ned, command_to_local_ned
from navstack.contract import VelocityCommand

COMPONENT = dialect.MAV_COMP_ID_ONBOARD_COMPUTER  # 191: never a ground station's
VELOCITY_AND_YAW_RATE = 0x05C7  # POSITION_TARGET_TYPEMASK: ignore position, acceleration and yaw
STREAMS = {  # message -> interval in us; the autopilot sends the rest at its own rates
    dialect.MAVLINK_MSG_ID_ATTITUDE: 20_000,
    dialect.MAVLINK_MSG_ID_LOCAL_POSITION_NED: 33_333,
    dialect.MAVLINK_MSG_ID_EXTENDED_SYS_STATE: 200_000,
    dialect.MAVLINK_MSG_ID_GLOBAL_POSITION_INT: 200_000,
    # No multiple of a camera's period: an echo that always comes just after our setpoint hides a rival's.
    dialect.MAVLINK_MSG_ID_POSITION_TARGET_LOCAL_NED: 37_000,
    dialect.MAVLINK_MSG_ID_SYS_STATUS: 1_000_000,
    dialect.MAVLINK_MSG_ID_BATTERY_STATUS: 1_000_000,
    dialect.MAVLINK_MSG_ID_HOME_POSITION: 1_000_000,
}
ESTIMATOR = {
    Firmware.PX4: dialect.MAVLINK_MSG_ID_ESTIMATOR_STATUS,
    Firmware.ARDUCOPTER: dialect.MAVLINK_MSG_ID_EKF_STATUS_REPORT,
}
ESTIMATOR_INTERVAL = 200_000  # us


def heartbeat() -> Any:
    """Proof of life, as an onboard controller."""
    return dialect.MAVLink_heartbeat_message(
        type=dialect.MAV_TYPE_ONBOARD_CONTROLLER, autopilot=dialect.MAV_AUTOPILOT_INVALID, base_mode=0,
        custom_mode=0, system_status=dialect.MAV_STATE_ACTIVE, mavlink_version=3,
    )  # fmt: skip


def velocity_setpoint(identity: Identity, command: VelocityCommand, yaw_ned: float, now: float) -> Any:
    """SET_POSITION_TARGET_LOCAL_NED: turned by our own yaw unless the firmware is known to do it by yaw."""
    body = takes_body_frame(identity)
    vx, vy, vz, yaw_rate = command_to_body_ned(command) if body else command_to_local_ned(command, yaw_ned)
    return dialect.MAVLink_set_position_target_local_ned_message(
        time_boot_ms=int(now * 1e3) & 0xFFFFFFFF,
        target_system=identity.system_id, target_component=identity.component_id,
        coordinate_frame=dialect.MAV_FRAME_BODY_NED if body else dialect.MAV_FRAME_LOCAL_NED,
        type_mask=VELOCITY_AND_YAW_RATE, x=0.0, y=0.0, z=0.0, vx=vx, vy=vy, vz=vz,
        afx=0.0, afy=0.0, afz=0.0, yaw=0.0, yaw_rate=yaw_rate,
    )  # fmt: skip


def command_long(identity: Identity, command: int, *parameters: float, confirmation: int = 0) -> Any:
    """COMMAND_LONG with up to seven parameters; the rest are 0."""
    padded = (*parameters, *((0.0,) * (7 - len(parameters))))
    return dialect.MAVLink_command_long_message(
        identity.system_id, identity.component_id, command, confirmation, *padded
    )


def request(identity: Identity, ask: Ask, altitude_msl: float | None) -> Any:
    """The command that asks for a mode, for arming or for take-off."""
    if ask.command == dialect.MAV_CMD_DO_SET_MODE:
        return _mode(identity, int(ask.value))
    if ask.command == dialect.MAV_CMD_NAV_TAKEOFF:
        return _takeoff(identity, ask.value, altitude_msl)
    return command_long(identity, ask.command, ask.value)


def _mode(identity: Identity, number: int) -> Any:
    """DO_SET_MODE: PX4 takes main and sub mode in two parameters, ArduCopter the number in one.

    src/modules/commander/Commander.cpp, VEHICLE_CMD_DO_SET_MODE; libraries/GCS_MAVLink/GCS_Common.cpp,
    handle_command_do_set_mode.
    """
    flag = float(dialect.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED)
    if identity.firmware is Firmware.PX4:
        main, sub = number >> 16 & 0xFF, number >> 24 & 0xFF
        return command_long(identity, dialect.MAV_CMD_DO_SET_MODE, flag, float(main), float(sub))
    return command_long(identity, dialect.MAV_CMD_DO_SET_MODE, flag, float(number))


def _takeoff(identity: Identity, height: float, altitude_msl: float | None) -> Any:
    """NAV_TAKEOFF here: PX4's altitude is above mean sea level, ArduCopter's above home.

    src/modules/navigator/navigator_main.cpp, VEHICLE_CMD_NAV_TAKEOFF; ArduCopter/mode_guided.cpp,
    do_user_takeoff_start.
    """
    nan = float("nan")
    if identity.firmware is Firmware.PX4:
        altitude = height + altitude_msl if altitude_msl is not None else nan
        return command_long(identity, dialect.MAV_CMD_NAV_TAKEOFF, nan, 0.0, 0.0, nan, nan, nan, altitude)
    return command_long(identity, dialect.MAV_CMD_NAV_TAKEOFF, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, height)


def message_interval(identity: Identity, message: int, interval: int) -> Any:
    """Ask for a message every `interval` us."""
    return command_long(identity, dialect.MAV_CMD_SET_MESSAGE_INTERVAL, float(message), float(interval))


def request_message(identity: Identity, message: int) -> Any:
    """Ask for a message once."""
    return command_long(identity, dialect.MAV_CMD_REQUEST_MESSAGE, float(message))


def parameter_request(identity: Identity, name: str) -> Any:
    """Ask for a parameter by name."""
    return dialect.MAVLink_param_request_read_message(
        identity.system_id, identity.component_id, name.encode(), -1
    )


def timesync(tc1: int, ts1: int) -> Any:
    """TIMESYNC: a question where `tc1` is 0, else an answer."""
    return dialect.MAVLink_timesync_message(tc1, ts1)
