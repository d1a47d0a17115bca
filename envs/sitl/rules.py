"""EMULATED: how PX4 and ArduCopter take modes, arming, take-off and silence. Each rule names its source."""

from __future__ import annotations

from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Firmware
from navstack.autopilot.mavlink.firmware import RULES, Rules, px4_mode

FLOAT, INT32 = dialect.MAV_PARAM_TYPE_REAL32, dialect.MAV_PARAM_TYPE_INT32
OFFBOARD_STREAM = 1.0  # s
FORCE = 21196.0  # common.xml, MAV_CMD_COMPONENT_ARM_DISARM: param2 that disarms in the air


@dataclass(slots=True)
class Parameter:
    """A parameter's value and MAVLink type."""

    value: float
    kind: int


@dataclass(frozen=True, slots=True)
class Emulation:
    """One firmware as far as it is emulated."""

    firmware: Firmware
    modes: Rules
    pilot_mode: int  # where the sticks fly: POSCTL, LOITER
    version: int  # AUTOPILOT_VERSION.flight_sw_version
    parameters: dict[str, tuple[float, int]]
    land_speed: float  # m/s
    climb_speed: float  # m/s
    disarm_landed: float  # s after landing in its landing mode
    disarm_idle: float  # s on the ground, armed, without taking off


# PX4 parameters: src/modules/commander/commander_params.c (COM_*), src/modules/navigator/geofence_params.c
# (GF_*), src/modules/mc_pos_control (MPC_*), src/modules/navigator/mission_params.c (MIS_*). The failsafes
# are as a flight with a companion wants them; `--unsafe` sets the firmware's defaults.
_PX4_PARAMETERS = {
    "COM_OF_LOSS_T": (1.0, FLOAT), "COM_OBL_RC_ACT": (5.0, INT32), "COM_RC_OVERRIDE": (3.0, INT32),
    "GF_ACTION": (2.0, INT32), "GF_MAX_HOR_DIST": (100.0, FLOAT), "GF_MAX_VER_DIST": (50.0, FLOAT),
    "MIS_TAKEOFF_ALT": (2.5, FLOAT), "MPC_LAND_SPEED": (0.7, FLOAT), "MPC_XY_CRUISE": (5.0, FLOAT),
    "RTL_RETURN_ALT": (5.0, FLOAT), "SYS_AUTOSTART": (10016.0, INT32), "MAV_SYS_ID": (1.0, INT32),
    "COM_DISARM_LAND": (2.0, FLOAT), "COM_DISARM_PRFLT": (10.0, FLOAT),
}  # fmt: skip
# ArduCopter parameters: ArduCopter/Parameters.cpp, libraries/AC_Fence/AC_Fence.cpp.
_ARDUCOPTER_PARAMETERS = {
    "GUID_TIMEOUT": (1.0, FLOAT), "FENCE_ENABLE": (1.0, INT32), "FENCE_ACTION": (1.0, INT32),
    "FENCE_TYPE": (7.0, INT32), "LAND_SPEED": (50.0, FLOAT), "RTL_ALT": (500.0, FLOAT),
    "DISARM_DELAY": (10.0, INT32), "SYSID_THISMAV": (1.0, INT32), "ARMING_CHECK": (1.0, INT32),
}  # fmt: skip
UNSAFE = {
    Firmware.PX4: {"COM_OBL_RC_ACT": 0.0, "COM_RC_OVERRIDE": 1.0, "GF_ACTION": 2.0, "GF_MAX_HOR_DIST": 0.0},
    Firmware.ARDUCOPTER: {"GUID_TIMEOUT": 3.0, "FENCE_ENABLE": 0.0},
}

EMULATIONS = {
    Firmware.PX4: Emulation(
        Firmware.PX4, RULES[Firmware.PX4], px4_mode(3), 1 << 24 | 15 << 16 | 4 << 8 | 255, _PX4_PARAMETERS,
        land_speed=0.7, climb_speed=1.0, disarm_landed=2.0, disarm_idle=10.0,
    ),
    Firmware.ARDUCOPTER: Emulation(
        Firmware.ARDUCOPTER, RULES[Firmware.ARDUCOPTER], 5, 4 << 24 | 5 << 16 | 7 << 8 | 255,
        # ArduCopter/mode_land.cpp disarms as soon as landing is detected.
        _ARDUCOPTER_PARAMETERS, land_speed=0.5, climb_speed=1.0, disarm_landed=0.0, disarm_idle=10.0,
    ),
}  # fmt: skip

# src/modules/commander/failsafe/failsafe.cpp, fromOffboardLossActParam: the action's mode.
OFFBOARD_LOSS = {
    0: px4_mode(3), 1: px4_mode(2), 2: px4_mode(1), 3: px4_mode(4, 5), 4: px4_mode(4, 6), 5: px4_mode(4, 3),
}  # fmt: skip
PX4_KNOWN = {px4_mode(main) for main in (1, 2, 3, 5, 6, 7)} | {px4_mode(4, sub) for sub in (2, 3, 5, 6)}
ARDUCOPTER_KNOWN = {0, 2, 4, 5, 6, 9, 16, 17}
KNOWN_MODES = {Firmware.PX4: PX4_KNOWN, Firmware.ARDUCOPTER: ARDUCOPTER_KNOWN}
NEED_POSITION = {
    # src/modules/commander/ModeUtil/mode_requirements.cpp; ArduCopter/mode.h, requires_GPS.
    Firmware.PX4: {px4_mode(3), px4_mode(6), px4_mode(4, 3), px4_mode(4, 5)},
    Firmware.ARDUCOPTER: {4, 5, 6, 16, 17},
}
