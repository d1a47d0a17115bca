"""A vehicle that flies elsewhere than commanded has a wrong idea of its heading, or a broken part."""

from __future__ import annotations

import math

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row, rotated

SLOWEST = 0.25  # m/s, of command and velocity, for their directions to mean something
SMOOTHING = 0.5  # s, so that a vehicle that is still turning round is not blamed


class Following:
    """Zero, then land, when the reported velocity points elsewhere than the command.

    A heading that is wrong from the beginning does not jump, but turns every command: this finds it.
    """

    row = Row(
        "following",
        "the reported velocity is over 1 rad off the commanded direction, both above 0.25 m/s",
        "for 1.5 s; landing 1 s later",
        "zero, then land",
        "never",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._astray = Lasting(config.follow_time, float("inf"))
        self.reset()

    def reset(self) -> None:
        """It follows."""
        self._astray.reset()
        self._wanted = self._flown = (0.0, 0.0)

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero once the vehicle has gone astray."""
        if moment.health is None:
            return command, ""
        yaw, sent = moment.state.yaw, moment.previous
        east, north = rotated(sent.forward, sent.left, yaw)
        share = moment.step / (SMOOTHING + moment.step)
        vx, vy, _ = moment.state.velocity_enu
        if math.isfinite(east + north + vx + vy):
            self._wanted = _blend(self._wanted, (east, north), share)
            self._flown = _blend(self._flown, (vx, vy), share)
        (a, b), (c, d) = self._wanted, self._flown
        fast = math.hypot(a, b) > SLOWEST and math.hypot(c, d) > SLOWEST
        off = fast and abs(math.atan2(a * d - b * c, a * c + b * d)) > self.config.follow_angle
        elapsed = self._astray.update(off, moment.now)
        if elapsed is None:
            return command, ""
        return ZERO_COMMAND, "land" if elapsed > self.config.estimate_patience else "hover"


def _blend(old: tuple[float, float], new: tuple[float, float], share: float) -> tuple[float, float]:
    return old[0] + share * (new[0] - old[0]), old[1] + share * (new[1] - old[1])
