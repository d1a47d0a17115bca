"""When a vehicle that is asked to sink stands on the ground, for firmware that does not say so."""

from __future__ import annotations

STILL = 1.5  # s without sinking, near the ground, that count as standing
SINKING = 0.15  # m/s
LOW = 0.5  # m above the ground
IDLE = 0.5  # s of idle sticks before it is told: the firmware keeps the last that it was sent


class Touchdown:
    """One landing; `reset` before the next flight."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """It flies."""
        self.landed = False
        self._since: float | None = None

    def update(self, climb: float, clearance: float, now: float) -> None:
        """Look at the vertical velocity (m/s) and the height above the ground (m) while landing."""
        if climb < -SINKING or clearance > LOW:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > STILL:
            self.landed, self._since = True, now

    def is_told(self, now: float) -> bool:
        """Whether now is the moment to tell it: once, when the motors have been idle for a while."""
        if not self.landed or self._since is None or now - self._since <= IDLE:
            return False
        self._since = None
        return True
