"""A camera that shows one picture again and again is no camera."""

from __future__ import annotations

import numpy as np

from navstack.contract import ZERO_COMMAND, Image, VelocityCommand
from navstack.safety.rule import GuardConfig, Moment, Row

MOVING = 0.2  # m/s: the vehicle says that it moves
TURNING = 0.1  # rad/s


class FrozenFrames:
    """Hover while the frames stay bit-identical though the vehicle says that it moves."""

    row = Row(
        "frozen frames",
        "bit-identical frames at the camera's full resolution while the vehicle moves (0.2 m/s or 0.1 rad/s)",
        "after 300 ms; hold after 10 s",
        "hover, then hold",
        "with a frame that differs, before the hold",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self.reset()

    def reset(self) -> None:
        """No frame has been seen."""
        self._image: Image | None = None
        self._first = 0.0  # s, capture time of the first of the frames that are alike
        self._frozen: float | None = None  # since when
        self._held = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero on frozen frames."""
        if moment.frame is not None:
            self._see(moment)
        if self._held or self._frozen is not None:
            self._held = self._held or moment.now - (self._frozen or 0.0) > self.config.patience
            return ZERO_COMMAND, "hold" if self._held else "hover"
        return command, ""

    def _see(self, moment: Moment) -> None:
        frame = moment.frame
        assert frame is not None
        alike = frame.repeated
        if alike is None:
            alike = self._image is not None and np.array_equal(self._image, frame.image)
        if not alike:
            self._image, self._first, self._frozen = frame.image, frame.capture_time, None
        elif self._frozen is None and frame.capture_time - self._first >= self.config.frozen - 1e-9:
            x, y, z = moment.state.angular_velocity_flu
            if moment.state.speed > MOVING or x * x + y * y + z * z > TURNING * TURNING:
                self._frozen = moment.now
