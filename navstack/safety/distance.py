"""Not out of sight."""

from __future__ import annotations

import math

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row


class DistanceFromHome:
    """Hold when the vehicle is too far from where it was engaged, whatever the fence says."""

    row = Row(
        "distance from home",
        "farther than 200 m from where the guard was engaged",
        "after 0.5 s",
        "hold",
        "never",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.farthest = config.farthest
        self._far = Lasting(0.5, float("inf"))

    def reset(self) -> None:
        """Home is here."""
        self._far.reset()

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero with hold, once too far."""
        far = math.dist(moment.state.position_enu, moment.home) > self.farthest
        elapsed = self._far.update(far, moment.now)
        return (command, "") if elapsed is None else (ZERO_COMMAND, "hold")
