"""Others that command the vehicle: two masters are worse than none, so the first sign of one ends authority.

What can be seen depends on what the autopilot passes on (docs.px4.io, advanced_config/parameter_reference,
MAV_x_FORWARD; ardupilot.org, dev/docs/mavlink-routing-in-ardupilot): another's setpoints and commands where
it forwards them, the acknowledgement of another's command, and otherwise the setpoint that it says it flies
(POSITION_TARGET_LOCAL_NED) when that is none of ours.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.contract import Vector3

REMEMBERED = 2.0  # s that a setpoint of ours may come back as flown
DIFFERENT = 0.5  # m/s: the autopilot shapes and limits what it flies, so near is ours
TIMES = 3  # echoes that are none of ours, within
WITHIN = 3.0  # s
_SETPOINTS = ("SET_POSITION_TARGET_LOCAL_NED", "SET_POSITION_TARGET_GLOBAL_INT", "SET_ATTITUDE_TARGET",
              "MANUAL_CONTROL", "RC_CHANNELS_OVERRIDE")  # fmt: skip
_COMMANDS = {
    dialect.MAV_CMD_DO_SET_MODE: "a mode change", dialect.MAV_CMD_NAV_TAKEOFF: "take-off",
    dialect.MAV_CMD_NAV_LAND: "landing", dialect.MAV_CMD_NAV_RETURN_TO_LAUNCH: "return",
    dialect.MAV_CMD_DO_REPOSITION: "a reposition", dialect.MAV_CMD_COMPONENT_ARM_DISARM: "arming",
}  # fmt: skip


class Rivals:
    """Watches one vehicle for masters besides us."""

    def __init__(self, system: int, component: int) -> None:
        self._us, self._vehicle = (system, component), system
        self._sent: deque[tuple[float, Vector3]] = deque()  # when, velocity NED
        self._strange: deque[float] = deque()  # when an echo was none of ours
        self.seen: dict[str, str] = {}  # who -> what

    def sent(self, velocity_ned: Vector3, now: float) -> None:
        """We sent this velocity."""
        self._sent.append((now, velocity_ned))
        self._forget(now)

    def take(self, message: Any, now: float) -> str:
        """A sign of a rival in this message, in words; empty for none."""
        kind, sender = message.get_type(), (message.get_srcSystem(), message.get_srcComponent())
        if kind == "POSITION_TARGET_LOCAL_NED":
            return self._echo(message, now)
        if kind == "COMMAND_ACK":
            them = (message.target_system, message.target_component)
            if sender[0] == self._vehicle and them[0] not in (0, self._us[0]) and message.result == 0:
                what = _COMMANDS.get(message.command)
                return self._note(them, what) if what else ""
            return ""
        if sender == self._us or getattr(message, "target_system", self._vehicle) != self._vehicle:
            return ""
        if kind in _SETPOINTS:
            return self._note(sender, kind)
        if kind in ("COMMAND_LONG", "COMMAND_INT"):
            what = _COMMANDS.get(message.command)
            return self._note(sender, what) if what else ""
        if kind == "SET_MODE":
            return self._note(sender, "a mode change")
        return ""

    def _note(self, who: tuple[int, int], what: str) -> str:
        name = f"system {who[0]} component {who[1]}"
        self.seen[name] = what
        return f"{name} commands the vehicle: {what}"

    def _echo(self, message: Any, now: float) -> str:
        """A velocity that the autopilot flies and that we did not send within the last seconds."""
        flown = (message.vx, message.vy, message.vz)
        self._forget(now)
        if message.type_mask & 0x38 or not self._sent or not all(map(math.isfinite, flown)):
            return ""
        if min(math.dist(flown, ours) for _, ours in self._sent) <= DIFFERENT:
            return ""
        self._strange.append(now)
        while now - self._strange[0] > WITHIN:
            self._strange.popleft()
        if len(self._strange) < TIMES:
            return ""
        self._strange.clear()
        self.seen["unknown"] = "velocity setpoints"
        return "the autopilot flies a velocity that is not ours: another sends setpoints"

    def _forget(self, now: float) -> None:
        while self._sent and now - self._sent[0][0] > REMEMBERED:
            self._sent.popleft()
