"""The battery must bring the vehicle down."""

from __future__ import annotations

from navstack.contract import ZERO_COMMAND, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row


class Battery:
    """Hold on a low battery, land on an empty one."""

    row = Row(
        "battery",
        "charge below 25%; below 15%",
        "after 3 s, so that a sag under load is no alarm",
        "hold; land",
        "never",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._low, self._empty = (Lasting(config.battery_time, float("inf")) for _ in range(2))

    def reset(self) -> None:
        """It is full."""
        self._low.reset()
        self._empty.reset()

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero with hold or land, once the charge has been too low for long enough."""
        charge = moment.health.battery if moment.health is not None else None
        if charge is None:
            return command, ""
        low = self._low.update(charge < self.config.battery_hold, moment.now)
        empty = self._empty.update(charge < self.config.battery_land, moment.now)
        if empty is not None:
            return ZERO_COMMAND, "land"
        return (ZERO_COMMAND, "hold") if low is not None else (command, "")
