"""The vehicle itself is too fast towards a boundary: brake harder than any other rule allows."""

from __future__ import annotations

import math

from navstack.contract import VelocityCommand
from navstack.safety.fence import Stopping, fence_for
from navstack.safety.rule import GuardConfig, Moment, Row, rotated


class EmergencyBraking:
    """The command goes to zero at the emergency limit, which beats acceleration and jerk limits.

    What of it leads back in is kept: wind might be what carries the vehicle out.
    """

    row = Row(
        "emergency braking",
        "the vehicle flies towards fence, floor or ceiling too fast to stop inside with 2 m/s^2",
        "at once",
        "brake to zero, or to what leads back in, with 20 m/s^2",
        "when it is slow enough",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.fence, self.stopping = fence_for(config), Stopping.of(config)

    def reset(self) -> None:
        """Nothing is remembered."""

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command sent before, changed as fast as an emergency allows, where the vehicle must brake."""
        vertical, out = self._vertical(moment), self._horizontal(moment)
        if not vertical and out is None:
            return command, ""
        drift = self.config.drift
        # An axis that need not brake leaves the thrust to the one that must: up only resists the wind, and a
        # vehicle that flies sideways keeps its speed, because stopping that would take thrust as well.
        up = max(0.0, vertical * command.up) * vertical if vertical else max(-drift, min(drift, command.up))
        forward, left = self._held(moment)
        if out is not None:
            ox, oy = rotated(*out, -moment.state.yaw)
            turned = min(0.0, command.forward * ox + command.left * oy) - (forward * ox + left * oy)
            forward, left = forward + turned * ox, left + turned * oy
        before, most = moment.previous, self.config.emergency * moment.step
        change = (forward - before.forward, left - before.left)
        share = min(1.0, most / max(1e-9, math.hypot(*change)))
        return self.config.limits.clamp(
            VelocityCommand(
                before.forward + share * change[0],
                before.left + share * change[1],
                before.up + max(-most, min(most, up - before.up)),
                command.yaw_rate,
            )
        ), "brake"

    def _held(self, moment: Moment) -> tuple[float, float]:
        """Forward and left (m/s) as the vehicle flies now, as far as that can be stopped inside the fence."""
        (x, y, _), (vx, vy, _) = moment.state.position_enu, moment.state.velocity_enu
        hx, hy, _ = moment.home
        return rotated(*self.fence.limit(vx, vy, x - hx, y - hy, self.stopping), -moment.state.yaw)

    def _vertical(self, moment: Moment) -> int:
        """The way in: 1 up from the floor, -1 down from the ceiling, 0 where nothing is near."""
        climb, too_fast = moment.state.velocity_enu[2], self.stopping.too_fast
        below, above = moment.clearance - self.config.floor, self.config.ceiling - moment.height
        if below >= 0.0 and too_fast(-climb, below):
            return 1
        return -1 if above >= 0.0 and too_fast(climb, above) else 0

    def _horizontal(self, moment: Moment) -> tuple[float, float] | None:
        """The way out (unit vector east, north), where the vehicle flies it too fast."""
        (x, y, _), (vx, vy, _) = moment.state.position_enu, moment.state.velocity_enu
        room, ox, oy = self.fence.room(x - moment.home[0], y - moment.home[1])
        return (ox, oy) if room >= 0.0 and self.stopping.too_fast(vx * ox + vy * oy, room) else None
