"""Fence, floor and ceiling, by stopping distance.

The speed towards a boundary `d` metres away may be at most that from which a vehicle that reacts after t
and decelerates with a stops in time: v t + v^2 / (2 a) = d. Standing after the rate limits, this rule brakes
as hard as it must.
"""

from __future__ import annotations

import math

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row

RETURN_SPEED = 0.5  # m/s, from outside back in


class WithinBoundaries:
    """Slow down in time for the fence, the floor and the ceiling; brake where it is late; come back in."""

    row = Row(
        "boundaries",
        "commanded speed towards fence, floor or ceiling above what stops in time",
        "at once",
        "slow down; emergency braking where the vehicle is too fast; outside, inward at 0.5 m/s at most",
        "when the command points inward or is slow enough",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config

    def reset(self) -> None:
        """Nothing is remembered."""

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command with its speed towards every boundary limited."""
        up, vertical = self._vertical(command.up, moment)
        east, north, horizontal = self._horizontal(command, moment)
        if not (vertical or horizontal):
            return command, ""
        if "brake" in (vertical, horizontal):
            return ZERO_COMMAND, "brake"
        yaw = moment.state.yaw
        forward = east * math.cos(yaw) + north * math.sin(yaw)
        left = north * math.cos(yaw) - east * math.sin(yaw)
        return VelocityCommand(forward, left, up, command.yaw_rate), vertical or horizontal

    def _vertical(self, up: float, moment: Moment) -> tuple[float, str]:
        state = moment.state
        height, climb = state.position_enu[2] - moment.home[2], state.velocity_enu[2]
        measured = height if state.height is None else state.height
        below, above = measured - self.config.floor, self.config.ceiling - height
        if below < 0.0 or above < 0.0:
            inward = 1.0 if below < 0.0 else -1.0
            return inward * min(RETURN_SPEED, max(0.2, inward * up)), "return"
        if self._too_fast(-climb, below) or self._too_fast(climb, above):
            return 0.0, "brake"
        limited = max(-self._allowed(below), min(self._allowed(above), up))
        return limited, "" if limited == up else "slow"

    def _horizontal(self, command: VelocityCommand, moment: Moment) -> tuple[float, float, str]:
        yaw, (x, y, _), (vx, vy, _) = moment.state.yaw, moment.state.position_enu, moment.state.velocity_enu
        east = command.forward * math.cos(yaw) - command.left * math.sin(yaw)
        north = command.forward * math.sin(yaw) + command.left * math.cos(yaw)
        dx, dy = x - moment.home[0], y - moment.home[1]
        away = math.hypot(dx, dy)
        if away < 1e-6:
            return east, north, ""
        ox, oy = dx / away, dy / away  # outward
        outward, room = east * ox + north * oy, self.config.fence - away
        if room < 0.0:
            inward = min(RETURN_SPEED, max(0.2, -outward))
            return -inward * ox, -inward * oy, "return"
        if self._too_fast(vx * ox + vy * oy, room):
            return 0.0, 0.0, "brake"
        # Moving along a circle of this radius also leads out: its stopping way is a tangent's.
        speed, allowed = math.hypot(east, north), self._allowed(room)
        if speed <= allowed or (outward <= allowed and self._tangent_stays_inside(speed, away)):
            return east, north, ""
        excess = outward - min(outward, allowed)
        east, north = east - excess * ox, north - excess * oy
        speed = math.hypot(east, north)
        if not self._tangent_stays_inside(speed, away) and speed > allowed:
            east, north = east * allowed / speed, north * allowed / speed
        return east, north, "slow"

    def _tangent_stays_inside(self, speed: float, away: float) -> bool:
        stopping = speed * self.config.reaction + speed * speed / (2.0 * self.config.braking)
        return math.hypot(away, stopping) <= self.config.fence - self.config.margin

    def _allowed(self, room: float) -> float:
        a, t, room = self.config.braking, self.config.reaction, max(0.0, room - self.config.margin)
        return math.sqrt(2.0 * a * room + (a * t) ** 2) - a * t

    def _too_fast(self, speed: float, room: float) -> bool:
        """Whether the vehicle itself must brake now, reaction already counted as gone."""
        return speed > 0.1 and speed * speed > 2.0 * self.config.braking * room
