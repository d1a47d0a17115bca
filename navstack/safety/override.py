"""The pilot has the last word."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row


class PilotOverride:
    """Hand over when the autopilot's mode is no longer the one in which we command."""

    row = Row(
        "pilot override",
        "the autopilot's heartbeat shows another mode than the one in which we command",
        "at once",
        "hand over: commands end",
        "never; only a fresh switch by the pilot engages again",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.reset()

    def reset(self) -> None:
        """We are in command."""
        self._over = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero for good once somebody else commands."""
        if moment.health is not None and not moment.health.in_command:
            self._over = True
        return (ZERO_COMMAND, "hand over") if self._over else (command, "")
