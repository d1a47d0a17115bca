"""Fence, floor and ceiling, by stopping distance.

The speed towards a boundary may be at most that from which a vehicle that reacts after t and decelerates with
a stops in time; see `navstack.safety.fence.Stopping`.
"""

from __future__ import annotations

import math

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.fence import Stopping, fence_for
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row, rotated

RETURN_SPEED = 0.5  # m/s, from outside back in
BENDS = 4  # of a velocity along a boundary, at most
PROGRESS = 0.05  # m, that count as coming back


class WithinBoundaries:
    """Slow down in time for the fence, the floor and the ceiling; come back in from outside."""

    row = Row(
        "boundaries",
        "commanded speed towards fence, floor or ceiling above what stops in time, counting the time "
        "that the autopilot flies on without us",
        "at once",
        "slow down; outside, inward at 0.5 m/s at most",
        "when the command points inward or is slow enough",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.fence, self.stopping = fence_for(config), Stopping.of(config)

    def reset(self) -> None:
        """Nothing is remembered."""

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command with its speed towards every boundary limited."""
        up, vertical = self._vertical(command.up, moment)
        east, north, horizontal = self._horizontal(command, moment)
        if not (vertical or horizontal):
            return command, ""
        limits, words = self.config.limits, (vertical, horizontal)
        forward, left = rotated(east, north, -moment.state.yaw)
        # Bending a velocity turns speed from one axis into another, which may have a lower limit; and what is
        # left within it may hold too little against the wind, so it is bent again.
        for _ in range(BENDS):
            share = min(1.0, limits.forward / max(abs(forward), 1e-9), limits.left / max(abs(left), 1e-9))
            if share == 1.0:
                break
            shorter = VelocityCommand(share * forward, share * left, up, command.yaw_rate)
            forward, left = rotated(*self._horizontal(shorter, moment)[:2], -moment.state.yaw)
        bent = VelocityCommand(forward, left, up, command.yaw_rate)
        return limits.clamp(bent), "return" if "return" in words else "slow"

    def _vertical(self, up: float, moment: Moment) -> tuple[float, str]:
        below, above = moment.clearance - self.config.floor, self.config.ceiling - moment.height
        if below < 0.0 or above < 0.0:
            inward = 1.0 if below < 0.0 else -1.0
            return inward * self._return_speed(inward * up), "return"
        limited = max(-self.stopping.allowed(below), min(self.stopping.allowed(above), up))
        return limited, "" if limited == up else "slow"

    def _return_speed(self, wanted: float) -> float:
        """Speed (m/s) of the way back in: what is wanted, but faster than the wind that was stated."""
        return min(RETURN_SPEED, max(0.2 + self.config.drift, wanted))

    def _horizontal(self, command: VelocityCommand, moment: Moment) -> tuple[float, float, str]:
        x, y, _ = moment.state.position_enu
        east, north = rotated(command.forward, command.left, moment.state.yaw)
        dx, dy = x - moment.home[0], y - moment.home[1]
        room, ox, oy = self.fence.room(dx, dy)
        if room < 0.0:
            inward = self._return_speed(-(east * ox + north * oy))
            return -inward * ox, -inward * oy, "return"
        # A vehicle that turns carries its velocity round with it until the next command.
        turned = math.hypot(east, north) * abs(command.yaw_rate) * moment.step
        stopping = self.stopping.drifting(turned) if turned else self.stopping
        limited = self.fence.limit(east, north, dx, dy, stopping)
        return *limited, "" if limited == (east, north) else "slow"


class OutsideBoundaries:
    """Hold when the way back in does not work."""

    row = Row(
        "outside",
        "outside fence, floor or ceiling and not 0.05 m nearer than 5 s before",
        "after 5 s",
        "hold (which becomes landing)",
        "never",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.fence = fence_for(config)
        self._lost = Lasting(config.outside, float("inf"))
        self.reset()

    def reset(self) -> None:
        """Inside."""
        self._lost.reset()
        self._least = float("inf")  # m outside, the least so far

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero with hold, once outside without coming back."""
        x, y, _ = moment.state.position_enu
        outside = -min(
            self.fence.room(x - moment.home[0], y - moment.home[1]).distance,
            moment.clearance - self.config.floor,
            self.config.ceiling - moment.height,
        )
        nearer = outside < self._least - PROGRESS
        if nearer or outside <= 0.0:
            self._least = outside if outside > 0.0 else float("inf")
        elapsed = self._lost.update(outside > 0.0 and not nearer, moment.now)
        return (command, "") if elapsed is None else (ZERO_COMMAND, "hold")
