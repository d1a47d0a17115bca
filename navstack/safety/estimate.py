"""Nobody flies by an estimate that is lost or jumps."""

from __future__ import annotations

import math

from navstack.contract import ZERO_COMMAND, VehicleState, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row


class Estimate:
    """Zero, then land, on an estimate that is lost, old or jumps.

    It stands after the boundaries: they reckon with the position, and a false one must not send the vehicle
    anywhere.
    """

    row = Row(
        "estimate",
        "the estimator's flags are bad, position or velocity is older than 300 ms, or the position jumped by "
        "2 m or the heading by 0.5 rad beyond what velocity and yaw rate foretold",
        "at once; landing after 1 s",
        "zero, then land",
        "where it was flags or age, within the second and after 0.5 s of a good estimate; never after a jump",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._bad = Lasting(0.0, 0.5)
        self.reset()

    def reset(self) -> None:
        """The estimate is good."""
        self._bad.reset()
        self._before: VehicleState | None = None
        self._jumped = self._landing = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero on a bad estimate."""
        health = moment.health
        if health is None:
            return command, ""
        finite = _is_finite(moment.state)
        self._jumped = self._jumped or (finite and self._jumps(moment.state))
        if finite:
            self._before = moment.state
        stale = not health.state_age <= self.config.stale_state
        bad = self._jumped or stale or not (health.estimate_ok and finite)
        elapsed = self._bad.update(bad, moment.now)
        self._landing = self._landing or (elapsed is not None and elapsed > self.config.estimate_patience)
        if self._landing:
            return ZERO_COMMAND, "land"
        return (command, "") if elapsed is None else (ZERO_COMMAND, "hover")

    def _jumps(self, state: VehicleState) -> bool:
        before = self._before
        if before is None or state.time <= before.time:
            return False
        step = state.time - before.time
        foretold = [p + v * step for p, v in zip(before.position_enu, before.velocity_enu, strict=True)]
        if math.dist(foretold, state.position_enu) > self.config.jump:
            return True
        turned = math.remainder(state.yaw - before.yaw - before.angular_velocity_flu[2] * step, math.tau)
        return abs(turned) > self.config.yaw_jump


def _is_finite(state: VehicleState) -> bool:
    return all(
        map(
            math.isfinite,
            (*state.position_enu, *state.velocity_enu, *state.orientation, *state.angular_velocity_flu),
        )
    )
