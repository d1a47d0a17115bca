"""A command that is not a number never leaves."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row


class Finite:
    """Zero instead of anything that is not finite."""

    row = Row(
        "finite", "a component of the command is NaN or infinite", "at once", "hover", "with a finite command"
    )

    def __init__(self, config: GuardConfig) -> None:
        pass

    def reset(self) -> None:
        """Nothing is remembered."""

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero where the command is not finite."""
        return (command, "") if command.is_finite() else (ZERO_COMMAND, "hover")
