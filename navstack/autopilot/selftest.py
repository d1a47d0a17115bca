"""The self-test in hover: is the velocity that we ask for the velocity that is flown?

A sign, a frame or a heading that is wrong shows as a direction that is wrong, at a speed that harms nobody:
stand still, fly 0.3 m/s forward for a second, and compare the direction that the autopilot reports with the
one that its own heading gives. What is left of the drift in hover, in wind for instance, is no answer to what
was asked, and is taken off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand

SPEED = 0.3  # m/s
FORWARD_SECONDS = 1.0
LOOK_FROM = 0.6  # s into the forward flight, when the vehicle has had time to follow
WORST_ANGLE = math.radians(20.0)
SLOWEST = 0.1  # m/s: less is no motion to take a direction from
CALM = 0.15  # m/s at which hover is hover
CALM_SECONDS = 0.5
PATIENCE = 5.0  # s for hover to come about


@dataclass(slots=True)
class _Mean:
    """Sums (m/s) of the velocities forward and left, and how many they are."""

    forward: float = 0.0
    left: float = 0.0
    count: int = 0


class SelfTest:
    """One self-test; ask `command` at every turn until `verdict` is not None."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._calm_since: float | None = None
        self._forward_since: float | None = None
        self._hover, self._forward = _Mean(), _Mean()  # of the velocity while calm, and in forward flight
        self._newest = -math.inf  # s, time of the newest state looked at
        self.verdict: str | None = None  # empty: passed; otherwise why not

    def command(self, state: VehicleState, now: float) -> VelocityCommand:
        """What to fly now, having looked at the newest state."""
        if self.verdict is not None:
            return ZERO_COMMAND
        if self._forward_since is None:
            self._wait_for_hover(state, now)
            return ZERO_COMMAND
        passed = now - self._forward_since
        if passed >= FORWARD_SECONDS:
            self.verdict = self._judge()
            return ZERO_COMMAND
        if passed >= LOOK_FROM:
            self._look(self._forward, state)
        return VelocityCommand(SPEED, 0.0, 0.0, 0.0)

    def _wait_for_hover(self, state: VehicleState, now: float) -> None:
        if state.speed > CALM:
            self._calm_since, self._hover = None, _Mean()
        else:
            self._look(self._hover, state)
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since >= CALM_SECONDS:
                self._forward_since = now
        if self._forward_since is None and now - self._began > PATIENCE:
            self.verdict = f"the vehicle does not stand still: {state.speed:.2f} m/s after {PATIENCE:g} s"

    def _look(self, mean: _Mean, state: VehicleState) -> None:
        """Count a state that has not been looked at: its velocity forward and left, by its own heading."""
        if state.time > self._newest:
            self._newest = state.time
            yaw, (east, north, _) = state.yaw, state.velocity_enu
            mean.forward += east * math.cos(yaw) + north * math.sin(yaw)
            mean.left += north * math.cos(yaw) - east * math.sin(yaw)
            mean.count += 1

    def _judge(self) -> str:
        drift, flown = self._hover, self._forward
        if flown.count < 2:
            return "the autopilot reported no velocity during it"
        forward = flown.forward / flown.count - drift.forward / max(1, drift.count)
        left = flown.left / flown.count - drift.left / max(1, drift.count)
        speed, angle = math.hypot(forward, left), math.atan2(left, forward)
        if speed < SLOWEST:
            return f"asked for {SPEED} m/s forward, the vehicle reports {speed:.2f} m/s"
        if abs(angle) > WORST_ANGLE:
            side = "left" if angle > 0.0 else "right"
            degrees = abs(math.degrees(angle))
            return f"asked to fly forward, the vehicle flew {degrees:.0f} degrees to the {side}"
        return ""
