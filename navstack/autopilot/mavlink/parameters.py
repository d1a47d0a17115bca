"""Reading the autopilot's failsafes before flight, and judging them.

A companion that dies flies on for the autopilot's timeout, and then does what the autopilot was told to. So
its parameters are part of the design. Nothing is written: only the owner changes a failsafe.

Encodings: PX4 puts the bytes of an integer into the message's float, ArduPilot its value (mavlink.io,
"Parameter Protocol", Parameter Encoding).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from navstack.autopilot.link import Finding, Firmware

RETRY = 0.3  # s
TRIES = 10
AT_ONCE = 4  # requests a turn, so that a slow serial line is not flooded
_INTEGERS = {1: "B", 2: "b", 3: "H", 4: "h", 5: "I", 6: "i"}  # MAV_PARAM_TYPE -> struct


@dataclass(frozen=True, slots=True)
class Check:
    """One parameter and what it must be."""

    name: str
    wanted: str
    ok: Callable[[float], bool]
    advice: str
    source: str
    words: Callable[[float], str] = lambda value: f"{value:g}"


def _named(names: dict[int, str]) -> Callable[[float], str]:
    return lambda value: f"{value:g} ({names.get(int(value), 'unknown')})"


_OBL = {0: "Position mode", 1: "Altitude mode", 2: "Manual", 3: "Return", 4: "Land", 5: "Hold",
        6: "Terminate", 7: "Disarm"}  # fmt: skip
_GF = {0: "None", 1: "Warning", 2: "Hold", 3: "Return", 4: "Terminate", 5: "Land"}
_PX4_PAGE = "docs.px4.io, advanced_config/parameter_reference"
CHECKS: dict[Firmware, tuple[Check, ...]] = {
    Firmware.PX4: (
        Check(
            "COM_OF_LOSS_T", "at most 1 s", lambda v: 0.0 <= v <= 1.0,
            "set COM_OF_LOSS_T to 1.0 or less: a dead companion flies on for that long",
            "src/modules/commander/commander_params.c", lambda v: f"{v:g} s",
        ),
        Check(
            "COM_OBL_RC_ACT", "4 (Land) or 5 (Hold)", lambda v: int(v) in (4, 5),
            "set COM_OBL_RC_ACT to 4 or 5: the default, Position mode, climbs and sinks by the stick",
            "src/modules/commander/failsafe/failsafe.h", _named(_OBL),
        ),
        Check(
            "COM_RC_OVERRIDE", "the offboard bit (2) set", lambda v: bool(int(v) & 2),
            "add 2 to COM_RC_OVERRIDE: only then do the sticks take the vehicle out of OFFBOARD",
            "src/modules/commander/commander_params.c", lambda v: f"{int(v)}",
        ),
        Check(
            "GF_ACTION", "2 (Hold), 3 (Return) or 5 (Land)", lambda v: int(v) in (2, 3, 5),
            "set GF_ACTION to 2, 3 or 5, and GF_MAX_HOR_DIST, GF_MAX_VER_DIST to the fence",
            f"src/modules/navigator/geofence_params.c; {_PX4_PAGE}", _named(_GF),
        ),
        Check(
            "GF_MAX_HOR_DIST", "above 0 m", lambda v: v > 0.0,
            "set GF_MAX_HOR_DIST: the autopilot's own fence holds when the companion is dead",
            "src/modules/navigator/geofence_params.c", lambda v: f"{v:g} m",
        ),
    ),
    Firmware.ARDUCOPTER: (
        Check(
            "GUID_TIMEOUT", "at most 1 s", lambda v: 0.0 < v <= 1.0,
            "set GUID_TIMEOUT to 1.0: a dead companion flies on for that long (3 s by default)",
            "ArduCopter/Parameters.cpp; mode_guided.cpp, velaccel_control_run", lambda v: f"{v:g} s",
        ),
        Check(
            "FENCE_ENABLE", "1", lambda v: int(v) == 1,
            "set FENCE_ENABLE to 1: the autopilot's own fence holds when the companion is dead",
            "libraries/AC_Fence/AC_Fence.cpp",
        ),
        Check(
            "FENCE_ACTION", "not 0 (report only)", lambda v: int(v) != 0,
            "set FENCE_ACTION to 1 (RTL or land) or another that acts",
            "libraries/AC_Fence/AC_Fence.cpp",
        ),
    ),
}  # fmt: skip
TIMEOUTS = {Firmware.PX4: "COM_OF_LOSS_T", Firmware.ARDUCOPTER: "GUID_TIMEOUT"}


def decode_value(value: float, kind: int, bytewise: bool) -> float:
    """What a PARAM_VALUE holds, as a number."""
    if not bytewise or kind not in _INTEGERS:
        return value
    (number,) = struct.unpack_from(f"<{_INTEGERS[kind]}", struct.pack("<f", value))
    return float(number)


def encode_value(value: float, kind: int, bytewise: bool) -> float:
    """The inverse of `decode_value`, for who plays the autopilot."""
    if not bytewise or kind not in _INTEGERS:
        return value
    (number,) = struct.unpack("<f", struct.pack(f"<{_INTEGERS[kind]}", int(value)).ljust(4, b"\0"))
    return float(number)


class ParameterReader:
    """Asks for the parameters that matter, again where one is lost, until all are known or given up."""

    def __init__(self, firmware: Firmware) -> None:
        self.firmware = firmware
        self._waiting = {check.name: (0, -math.inf) for check in CHECKS[firmware]}  # tries, asked at
        self._values: dict[str, float | None] = {}

    @property
    def finished(self) -> bool:
        """Whether nothing more is expected."""
        return not self._waiting

    def due(self, now: float) -> list[str]:
        """Names to ask for now."""
        names: list[str] = []
        for name, (tries, asked) in list(self._waiting.items()):
            if now - asked < RETRY or len(names) == AT_ONCE:
                continue
            if tries == TRIES:
                self._values[name] = None
                del self._waiting[name]
                continue
            self._waiting[name] = (tries + 1, now)
            names.append(name)
        return names

    def take(self, message: Any) -> None:
        """Learn from a PARAM_VALUE; one that changes later is believed too."""
        name = message.param_id
        if name in self._waiting or name in self._values:
            value = decode_value(message.param_value, message.param_type, self.firmware is Firmware.PX4)
            if math.isfinite(value):
                self._values[name] = value
                self._waiting.pop(name, None)

    @property
    def timeout(self) -> float | None:
        """s that the autopilot flies on after the last setpoint; None while unknown."""
        return self._values.get(TIMEOUTS[self.firmware])

    def findings(self) -> tuple[Finding, ...]:
        """The judgement of what is known."""
        return tuple(self._judge(check) for check in CHECKS[self.firmware])

    def _judge(self, check: Check) -> Finding:
        value = self._values.get(check.name)
        if value is None:
            advice = f"{check.advice} (the autopilot did not tell {check.name})"
            return Finding(check.name, "not told", check.wanted, False, advice, check.source)
        ok = check.ok(value)
        found = check.words(value)
        return Finding(check.name, found, check.wanted, ok, "" if ok else check.advice, check.source)
