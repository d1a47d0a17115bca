"""EMULATED: what the autopilot answers to messages: commands, parameters, time, setpoints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.firmware import px4_mode
from navstack.autopilot.mavlink.parameters import decode_value, encode_value
from navstack.envs.sitl import telemetry
from navstack.envs.sitl.rules import FORCE, KNOWN_MODES, NEED_POSITION

if TYPE_CHECKING:
    from navstack.envs.sitl.autopilot import EmulatedAutopilot

ACCEPTED = dialect.MAV_RESULT_ACCEPTED
REJECTED = dialect.MAV_RESULT_TEMPORARILY_REJECTED
DENIED = dialect.MAV_RESULT_DENIED
UNSUPPORTED = dialect.MAV_RESULT_UNSUPPORTED
FAILED = dialect.MAV_RESULT_FAILED


def answer(a: EmulatedAutopilot, message: Any) -> None:
    """Take one message, where it is for this vehicle."""
    target = getattr(message, "target_system", 0)
    if target not in (0, a.codec.system_id):
        return
    handler = _HANDLERS.get(message.get_type())
    if handler is not None:
        handler(a, message)


def _command(a: EmulatedAutopilot, message: Any) -> None:
    maker = COMMANDS.get(message.command)
    result = maker(a, message) if maker else UNSUPPORTED
    a.send(
        dialect.MAVLink_command_ack_message(
            message.command, result, 0, 0, message.get_srcSystem(), message.get_srcComponent()
        )
    )


def _set_mode(a: EmulatedAutopilot, message: Any) -> int:
    """Commander.cpp, VEHICLE_CMD_DO_SET_MODE; GCS_Common.cpp, handle_command_do_set_mode."""
    if not int(message.param1) & dialect.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED:
        return DENIED
    if a.emulation.firmware is Firmware.PX4:
        main, sub = int(message.param2), int(message.param3)
        return _enter(a, px4_mode(main, sub or (3 if main == 4 else 0)), "commanded")
    return _enter(a, int(message.param2), "commanded")


def _enter(a: EmulatedAutopilot, mode: int, why: str) -> int:
    firmware = a.emulation.firmware
    if mode not in KNOWN_MODES[firmware]:
        return DENIED
    if mode in NEED_POSITION[firmware] and a.reported.estimator_flags & 0x38 == 0:
        a.say("mode needs a position")
        return REJECTED if firmware is Firmware.PX4 else FAILED
    if firmware is Firmware.PX4 and mode == a.emulation.modes.command and not a.offboard_available():
        return REJECTED  # docs.px4.io, flight_modes/offboard: a stream must come first
    a.change_mode(mode, why)
    return ACCEPTED


def _arm(a: EmulatedAutopilot, message: Any) -> int:
    """Commander.cpp, arm and disarm; AP_Arming_Copter.cpp. In the air motors stop by force only."""
    if message.param1 >= 0.5:
        if a.body.crashed or (a.emulation.firmware is Firmware.ARDUCOPTER and a.mode in (6, 9, 17)):
            return FAILED  # ArduCopter does not arm in RTL, LAND and BRAKE: mode.h, allows_arming
        a.arm("commanded")
        return ACCEPTED
    if not a.body.landed and message.param2 != FORCE:
        return DENIED if a.emulation.firmware is Firmware.PX4 else FAILED
    a.disarm("commanded")
    return ACCEPTED


def _takeoff(a: EmulatedAutopilot, message: Any) -> int:
    """Commander.cpp, VEHICLE_CMD_NAV_TAKEOFF; ArduCopter/takeoff.cpp, Mode::do_user_takeoff."""
    if a.emulation.firmware is Firmware.ARDUCOPTER:
        if not (a.armed and a.body.landed and a.mode == a.emulation.modes.command):
            return FAILED
        height = _altitude(message)
    else:
        above_sea = _altitude(message)
        height = above_sea - telemetry.ORIGIN[2] if math.isfinite(above_sea) else (
            a.home[2] + a.parameters["MIS_TAKEOFF_ALT"].value)  # fmt: skip
        a.change_mode(a.emulation.modes.takeoff, "commanded")
        if not a.armed:
            a.flying.pending = height  # it climbs when it is armed
            return ACCEPTED
        if not a.body.landed:
            return ACCEPTED
    if height - a.body.state().position_enu[2] < 0.3:
        return FAILED
    a.flying.climb(height)
    return ACCEPTED


def _altitude(message: Any) -> float:
    """The seventh parameter, which COMMAND_INT calls z."""
    return float(message.z if message.get_type() == "COMMAND_INT" else message.param7)


def _land(a: EmulatedAutopilot, message: Any) -> int:
    return _enter(a, a.emulation.modes.land, "commanded")


def _home(a: EmulatedAutopilot, message: Any) -> int:
    return _enter(a, a.emulation.modes.home, "commanded")


def _loiter(a: EmulatedAutopilot, message: Any) -> int:
    return _enter(a, a.emulation.modes.hold if a.emulation.firmware is Firmware.PX4 else 5, "commanded")


def _interval(a: EmulatedAutopilot, message: Any) -> int:
    return ACCEPTED if a.set_interval(int(message.param1), message.param2) else UNSUPPORTED


def _request(a: EmulatedAutopilot, message: Any) -> int:
    number = int(message.param1)
    if number == dialect.MAVLINK_MSG_ID_AUTOPILOT_VERSION:
        a.send(telemetry.version(a))
        return ACCEPTED
    if number in telemetry.MESSAGES:
        made = telemetry.MESSAGES[number][1](a)
        if made is not None:
            a.send(made)
        return ACCEPTED
    return UNSUPPORTED


def _capabilities(a: EmulatedAutopilot, message: Any) -> int:
    a.send(telemetry.version(a))
    return ACCEPTED


def _old_set_mode(a: EmulatedAutopilot, message: Any) -> None:
    _enter(a, message.custom_mode, "commanded by SET_MODE")


def _timesync(a: EmulatedAutopilot, message: Any) -> None:
    if message.tc1 == 0:
        a.send(dialect.MAVLink_timesync_message(a.boot_ms() * 1_000_000, message.ts1))


def _read(a: EmulatedAutopilot, message: Any) -> None:
    names = list(a.parameters)
    index = message.param_index
    name = names[index] if 0 <= index < len(names) else message.param_id
    if name in a.parameters:
        _tell(a, name)


def _list(a: EmulatedAutopilot, message: Any) -> None:
    for name in a.parameters:
        _tell(a, name)


def _set(a: EmulatedAutopilot, message: Any) -> None:
    name = message.param_id
    if name in a.parameters:
        bytewise = a.emulation.firmware is Firmware.PX4
        a.parameters[name].value = decode_value(message.param_value, message.param_type, bytewise)
        _tell(a, name)


def _tell(a: EmulatedAutopilot, name: str) -> None:
    parameter, bytewise = a.parameters[name], a.emulation.firmware is Firmware.PX4
    a.send(
        dialect.MAVLink_param_value_message(
            name.encode(), encode_value(parameter.value, parameter.kind, bytewise), parameter.kind,
            len(a.parameters), list(a.parameters).index(name),
        )
    )  # fmt: skip


def _setpoint(a: EmulatedAutopilot, message: Any) -> None:
    a.take_setpoint(message)


COMMANDS: dict[int, Callable[[EmulatedAutopilot, Any], int]] = {
    dialect.MAV_CMD_DO_SET_MODE: _set_mode,
    dialect.MAV_CMD_COMPONENT_ARM_DISARM: _arm,
    dialect.MAV_CMD_NAV_TAKEOFF: _takeoff,
    dialect.MAV_CMD_NAV_LAND: _land,
    dialect.MAV_CMD_NAV_RETURN_TO_LAUNCH: _home,
    dialect.MAV_CMD_NAV_LOITER_UNLIM: _loiter,
    dialect.MAV_CMD_SET_MESSAGE_INTERVAL: _interval,
    dialect.MAV_CMD_REQUEST_MESSAGE: _request,
    dialect.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES: _capabilities,
}
_HANDLERS: dict[str, Callable[[EmulatedAutopilot, Any], None]] = {
    "COMMAND_LONG": _command,
    "COMMAND_INT": _command,
    "SET_MODE": _old_set_mode,
    "TIMESYNC": _timesync,
    "PARAM_REQUEST_READ": _read,
    "PARAM_REQUEST_LIST": _list,
    "PARAM_SET": _set,
    "SET_POSITION_TARGET_LOCAL_NED": _setpoint,
}
