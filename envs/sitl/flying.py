"""EMULATED: what each mode does with the vehicle, as a velocity of the level body frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from navstack.autopilot.link import Firmware
from navstack.contract import ZERO_COMMAND, Vector3, VelocityCommand

if TYPE_CHECKING:
    from navstack.envs.sitl.autopilot import EmulatedAutopilot

CAUGHT = 0.3  # m/s: slower than this the place to hold is taken
PULL = 0.8  # 1/s, towards the place to hold
HOLD_SPEED = 1.0  # m/s at most
RETURN_SPEED = 2.0  # m/s
ARRIVED = 0.5  # m


class Flying:
    """The autopilot's own flying, by mode."""

    def __init__(self, autopilot: EmulatedAutopilot) -> None:
        self._autopilot = autopilot
        self._hold: Vector3 | None = None
        self._climb_to: float | None = None  # m, ENU
        self._returned = False
        self.pending: float | None = None  # m, ENU: a take-off that waits for arming

    @property
    def task(self) -> str:
        """ "climb", "land" or nothing."""
        if self._climb_to is not None:
            return "climb"
        modes = self._autopilot.emulation.modes
        landing = self._autopilot.mode == modes.land or (
            self._autopilot.mode == modes.home and self._returned
        )
        return "land" if landing else ""

    def entered(self, now: float) -> None:
        """A mode begins: forget what the last one was about."""
        self._hold, self._climb_to, self._returned, self.pending = None, None, False, None

    def climb(self, height: float) -> None:
        """Take off to this height (m, ENU)."""
        self._climb_to = height
        self._autopilot.body.lift()

    def command(self, now: float) -> VelocityCommand:
        """What to fly in this turn."""
        a = self._autopilot
        if self.pending is not None and a.armed and a.body.landed:
            self.climb(self.pending)
            self.pending = None
        if not a.armed or a.body.landed:
            # ArduCopter (mode_guided.cpp, velaccel_control_run) stays on the ground whatever the velocity.
            # PX4 would take off by one in OFFBOARD, which nobody here relies on.
            return ZERO_COMMAND
        modes = a.emulation.modes
        if self._climb_to is not None:
            return self._climbing(now)
        if a.mode == modes.command:
            a.body.begin_task()
            return a.velocity_target(now)
        if self.task == "land":
            return VelocityCommand(0.0, 0.0, -self._sinking(), 0.0)
        if a.mode == modes.home:
            return self._returning()
        return self._holding()

    def _climbing(self, now: float) -> VelocityCommand:
        a, height = self._autopilot, self._autopilot.body.state().position_enu[2]
        assert self._climb_to is not None
        to_go = self._climb_to - height
        if to_go < 0.1:
            self._climb_to = None
            if a.emulation.firmware is Firmware.PX4:  # navigator/takeoff.cpp: then it holds
                a.change_mode(a.emulation.modes.hold, "take-off complete")
            else:
                a.note("take-off complete")
            return ZERO_COMMAND
        return VelocityCommand(0.0, 0.0, min(a.emulation.climb_speed, max(0.2, to_go)), 0.0)

    def _sinking(self) -> float:
        a = self._autopilot
        return a.emulation.land_speed if a.body.state().position_enu[2] > 0.6 else 0.3

    def _returning(self) -> VelocityCommand:
        state, home = self._autopilot.body.state(), self._autopilot.home
        east, north = home[0] - state.position_enu[0], home[1] - state.position_enu[1]
        away = math.hypot(east, north)
        self._returned = away < ARRIVED
        return self._towards(east, north, 0.0, RETURN_SPEED)

    def _holding(self) -> VelocityCommand:
        state = self._autopilot.body.state()
        if self._hold is None:
            if state.speed > CAUGHT:
                return ZERO_COMMAND
            self._hold = state.position_enu
        (hx, hy, hz), (x, y, z) = self._hold, state.position_enu
        return self._towards(hx - x, hy - y, hz - z, HOLD_SPEED)

    def _towards(self, east: float, north: float, up: float, fastest: float) -> VelocityCommand:
        yaw, away = self._autopilot.body.state().yaw, math.hypot(east, north)
        scale = min(PULL, fastest / away) if away > 0.0 else 0.0
        east, north = scale * east, scale * north
        return VelocityCommand(
            east * math.cos(yaw) + north * math.sin(yaw), north * math.cos(yaw) - east * math.sin(yaw),
            max(-0.5, min(0.5, PULL * up)), 0.0,
        )  # fmt: skip
