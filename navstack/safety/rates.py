"""Commands change no faster than an airframe can follow."""

from __future__ import annotations

import math

from navstack.contract import VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row


class WithinRates:
    """Limit acceleration and jerk of every component."""

    row = Row(
        "rates",
        "a component changes faster than the acceleration and jerk limits allow",
        "at once",
        "follow as fast as the limits allow, without overshoot",
        "when the command is reached",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.limits = config.limits
        linear, turning = (config.acceleration, config.jerk), (config.yaw_acceleration, config.yaw_jerk)
        self._bounds = (linear, linear, linear, turning)
        self.reset()

    def reset(self) -> None:
        """Nothing is changing."""
        self._slopes = [0.0, 0.0, 0.0, 0.0]

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command, or as far towards it as the limits allow in this step."""
        before, step, approach = moment.previous, moment.step, self._approach
        limited = VelocityCommand(
            approach(0, before.forward, command.forward, step),
            approach(1, before.left, command.left, step),
            approach(2, before.up, command.up, step),
            approach(3, before.yaw_rate, command.yaw_rate, step),
        )
        limited = self.limits.clamp(limited)  # sums of floats end a hair beyond
        return limited, "" if limited == command else "follow"

    def _approach(self, axis: int, value: float, goal: float, step: float) -> float:
        """One step towards the goal. The slope is no steeper than can still be levelled out on arrival."""
        gap = goal - value
        if step <= 0.0:
            return value
        acceleration, jerk = self._bounds[axis]
        arriving = math.sqrt(2.0 * jerk * abs(gap) + (0.5 * jerk * step) ** 2) - 0.5 * jerk * step
        wanted = math.copysign(min(acceleration, arriving, abs(gap) / step), gap)
        slope = self._slopes[axis]
        if slope * gap < 0.0:
            slope = 0.0  # never further away from the goal: it might be past a limit there
        slope += max(-jerk * step, min(jerk * step, wanted - slope))
        if slope * gap >= 0.0 and abs(slope) * step >= abs(gap):
            slope = gap / step  # never beyond the goal, even where the jerk limit would carry it there
        self._slopes[axis] = slope
        return value + slope * step
