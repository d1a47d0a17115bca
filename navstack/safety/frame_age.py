"""Old pictures command less and less, very old ones nothing."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row

DECAY_CEILING = 0.5  # s
HOVER_CEILING = 1.5  # s


class FrameAge:
    """Scale the command by the age of the frame that it came from."""

    row = Row(
        "frame age",
        "age of the newest frame above max(100 ms, T + latency), T the longest trained dt; at most 0.5 s",
        "at once; fully hovering from 3 times that age, at most 1.5 s; hold after 10 s of hovering",
        "scale towards hover, then hold",
        "with the next frame, before the hold",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.fresh = min(DECAY_CEILING, max(0.1, config.longest_dt + config.latency))
        self.stale = min(HOVER_CEILING, 3.0 * self.fresh)
        self._hold_at = self.stale + config.patience
        self.reset()

    def reset(self) -> None:
        """Frames come."""
        self._held = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """All of it while the frame is fresh, none once it is stale, linearly in between."""
        age = moment.frame_age
        self._held = self._held or not age <= self._hold_at
        if self._held:
            return ZERO_COMMAND, "hold"
        if age <= self.fresh:
            return command, ""
        share = max(0.0, (self.stale - age) / (self.stale - self.fresh))
        scaled = VelocityCommand(
            share * command.forward, share * command.left, share * command.up, share * command.yaw_rate
        )
        return scaled, "scale" if share else "hover"
