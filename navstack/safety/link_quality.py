"""A vehicle that cannot be heard is not steered."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row


class LinkQuality:
    """Halve the command on a lossy link, hover on a silent one, then ask for hold."""

    row = Row(
        "link quality",
        "more than 30% of the autopilot's messages lost; nothing heard for 0.5 s; no heartbeat for 3 s",
        "after 0.5 s; at once",
        "scale by half; hover; hold",
        "after 1 s of a good link, before the hold",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._lossy, self._silent = Lasting(0.5, 1.0), Lasting(0.0, 1.0)
        self.reset()

    def reset(self) -> None:
        """The link is good."""
        self._lossy.reset()
        self._silent.reset()
        self._held = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Less of the command the worse the link."""
        health = moment.health
        if health is None:
            return command, ""
        self._held = self._held or health.heartbeat_age > self.config.link_hold
        silent = self._silent.update(health.silence > self.config.silence, moment.now)
        lossy = self._lossy.update(health.lost_messages > self.config.lost_messages, moment.now)
        if self._held:
            return ZERO_COMMAND, "hold"
        if silent is not None:
            return ZERO_COMMAND, "hover"
        if lossy is None:
            return command, ""
        return VelocityCommand(
            0.5 * command.forward, 0.5 * command.left, 0.5 * command.up, 0.5 * command.yaw_rate
        ), "scale"
