"""A velocity loop outside the autopilot, for firmware that has none: velocity error to lean and throttle.

The cascade is that of every multicopter autopilot (docs.px4.io, Controller Diagrams): a PI loop on velocity
gives an acceleration, which is a lean angle horizontally and throttle vertically. The inner loops, attitude
and rates, are the firmware's. Its integrator finds the hover throttle and leans against wind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.contract import Vector3, VelocityCommand

GRAVITY = 9.80665  # m/s^2


@dataclass(frozen=True, slots=True)
class VelocityGains:
    """Of the loop; defaults suit a quadrotor whose attitude settles within a quarter of a second."""

    horizontal: float = 2.0  # 1/s
    horizontal_integral: float = 1.0  # 1/s^2: critical damping, horizontal^2 / 4; wind is met within 2 s
    vertical: float = 2.5  # 1/s
    vertical_integral: float = 1.2  # 1/s^2
    lean: float = math.radians(20.0)  # rad at most
    climb: float = 4.0  # m/s^2 that throttle may ask for at most
    integral: float = 3.0  # m/s^2 that an integrator may hold at most


@dataclass(frozen=True, slots=True)
class Demand:
    """What the firmware's attitude loop and throttle are asked for."""

    nose_down: float  # rad
    right_down: float  # rad
    yaw_rate: float  # rad/s, counter-clockwise
    throttle: float  # fraction of full, 0 to 1


class VelocityLoop:
    """State of the loop for one flight; `reset` with the throttle that hovers as far as is known."""

    def __init__(self, gains: VelocityGains | None = None) -> None:
        self.gains = gains or VelocityGains()
        self.reset(0.4)

    def reset(self, hover_throttle: float) -> None:
        """Begin anew from a throttle that about hovers, 0 to 1."""
        self.hover = min(0.9, max(0.1, hover_throttle))
        self._forward = self._left = self._up = 0.0  # m/s^2, integrators

    def update(
        self, command: VelocityCommand, velocity: Vector3, lean: tuple[float, float], dt: float
    ) -> Demand:
        """The demand for the next instant.

        Args:
            command: what to fly.
            velocity: (m/s) forward, left, up in the level body frame.
            lean: (rad) roll and pitch now, for the thrust that leaning costs.
            dt: s since the last turn.
        """
        gains, step = self.gains, max(0.0, min(0.1, dt))
        forward, left, up = (
            command.forward - velocity[0],
            command.left - velocity[1],
            command.up - velocity[2],
        )
        self._forward = self._held(self._forward + gains.horizontal_integral * step * forward)
        self._left = self._held(self._left + gains.horizontal_integral * step * left)
        self._up = self._held(self._up + gains.vertical_integral * step * up)
        ahead = gains.horizontal * forward + self._forward
        aside = gains.horizontal * left + self._left
        size, most = math.hypot(ahead, aside), GRAVITY * math.tan(gains.lean)
        if size > most:
            ahead, aside = ahead * most / size, aside * most / size
        climb = max(-gains.climb, min(gains.climb, gains.vertical * up + self._up))
        upright = max(0.5, math.cos(lean[0]) * math.cos(lean[1]))
        # Thrust goes with the square of the rotors' speed, and speed about with throttle.
        throttle = self.hover * math.sqrt(max(0.1, (1.0 + climb / GRAVITY) / upright))
        return Demand(
            math.atan2(ahead, GRAVITY), -math.atan2(aside, GRAVITY), command.yaw_rate, min(0.95, throttle)
        )

    def _held(self, value: float) -> float:
        return max(-self.gains.integral, min(self.gains.integral, value))
