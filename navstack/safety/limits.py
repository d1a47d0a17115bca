"""No command beyond the limits of the policy's card."""

from __future__ import annotations

from navstack.contract import VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row


class WithinLimits:
    """Clamp each component."""

    row = Row("limits", "a component is beyond its limit", "at once", "clamp", "with a command inside")

    def __init__(self, config: GuardConfig) -> None:
        self.limits = config.limits

    def reset(self) -> None:
        """Nothing is remembered."""

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command inside the limits."""
        clamped = self.limits.clamp(command)
        return clamped, "" if clamped == command else "clamp"
