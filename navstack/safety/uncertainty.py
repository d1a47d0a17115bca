"""A policy that doubts is obeyed less."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row


class Uncertainty:
    """Scale the command by the policy's own uncertainty, where it offers one."""

    row = Row(
        "uncertainty",
        "the policy offers an uncertainty in 0..1 and it is above 0.5, or not a number",
        "at once; hold after 10 s of hovering",
        "scale, none left at 1; then hold",
        "with a surer command, before the hold",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._hovering = Lasting(0.0, 0.5)
        self.reset()

    def reset(self) -> None:
        """Nothing is doubted."""
        self._hovering.reset()
        self._held = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """All of the command up to the threshold, none of it at 1, linearly in between."""
        doubt = moment.uncertainty
        if doubt is None and not self._held:
            return command, ""
        share = 1.0 if doubt is None else (1.0 - doubt) / (1.0 - self.config.uncertain)
        share = min(1.0, share) if share > 0.0 else 0.0  # not a number is 0
        elapsed = self._hovering.update(share == 0.0, moment.now)
        self._held = self._held or (elapsed is not None and elapsed > self.config.patience)
        if self._held:
            return ZERO_COMMAND, "hold"
        if share == 1.0:
            return command, ""
        if share == 0.0:
            return ZERO_COMMAND, "hover"
        return VelocityCommand(
            share * command.forward, share * command.left, share * command.up, share * command.yaw_rate
        ), "scale"
