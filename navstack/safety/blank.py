"""A picture without anything in it says nothing of the world."""

from __future__ import annotations

import numpy as np

from navstack.contract import ZERO_COMMAND, Image, VelocityCommand
from navstack.safety.rule import GuardConfig, Lasting, Moment, Row

DARK, BRIGHT = 12, 250  # of 255
SHARE = 0.01  # of the values may be otherwise: a dead pixel, a lamp
_MIDDLING = bytes(range(DARK + 1, BRIGHT))


def is_blank(image: Image) -> bool:
    """Whether an (H, W, 3) uint8 picture is black or saturated all over.

    A near object that fills the view is neither: it is lit in at least one colour, and bright in one at most
    where it is coloured.
    """
    few = SHARE * image.size
    # The centre tells most pictures apart at a fraction of the cost.
    height, width = image.shape[:2]
    centre = image[height // 4 : -(height // 4) or None : 4, width // 4 : -(width // 4) or None : 4].tobytes()
    if 2 * len(centre.translate(None, _MIDDLING)) < len(centre):  # most of it is neither; bytes are quicker
        return False
    return bool(np.count_nonzero(image > DARK) <= few or np.count_nonzero(image < BRIGHT) <= few)


class BlankFrames:
    """Hover while the picture is black or saturated."""

    row = Row(
        "blank frames",
        "99% of the picture's values are at most 12 (black) or at least 250 (saturated)",
        "after 300 ms; hold after 10 s",
        "hover, then hold",
        "after 300 ms of pictures, before the hold",
    )

    def __init__(self, config: GuardConfig) -> None:
        self.config = config
        self._lasting = Lasting(config.blank, config.blank)
        self.reset()

    def reset(self) -> None:
        """No frame has been seen."""
        self._lasting.reset()
        self._blank = self._held = False

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """Zero on blank frames."""
        if moment.frame is not None:
            self._blank = is_blank(moment.frame.image)
        elapsed = self._lasting.update(self._blank, moment.now)
        self._held = self._held or (elapsed is not None and elapsed > self.config.patience)
        if self._held or elapsed is not None:
            return ZERO_COMMAND, "hold" if self._held else "hover"
        return command, ""
