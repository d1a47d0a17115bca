"""From what the velocity loop demands to Betaflight's channels, and which channels an override moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from navstack.autopilot.msp import CHANNELS, HIGH, LOW, MIDDLE, Rates
from navstack.autopilot.velocity_loop import Demand

STICKS = (0, 1, 2, 3)  # roll, pitch, throttle, yaw: Betaflight's default map AETR1234


@dataclass(frozen=True, slots=True)
class Sticks:
    """How sticks are read by this vehicle."""

    angle_limit: float = math.radians(60.0)  # rad at full stick in ANGLE mode; its `angle_limit`

    def channels(self, demand: Demand, rates: tuple[Rates, Rates, Rates]) -> tuple[int, ...]:
        """All sixteen channels in us, given the curves of roll, pitch and yaw.

        In ANGLE mode the angle wanted is the limit times the curve's rate over its largest (src/main/flight/
        pid.c, pidLevel, since 4.5), so small angles need more stick than their share.
        """
        roll = self._lean(demand.right_down, rates[0])
        pitch = self._lean(demand.nose_down, rates[1])
        # Betaflight's yaw stick turns clockwise to the right.
        yaw = self._deflected(rates[2].stick(-math.degrees(demand.yaw_rate)))
        throttle = round(LOW + (HIGH - LOW) * max(0.0, min(1.0, demand.throttle)))
        return (roll, pitch, throttle, yaw, *((MIDDLE,) * (CHANNELS - 4)))

    def _lean(self, angle: float, rates: Rates) -> int:
        share = max(-1.0, min(1.0, angle / self.angle_limit))
        return self._deflected(rates.stick(share * rates.rate(1.0)))

    @staticmethod
    def _deflected(stick: float) -> int:
        return round(MIDDLE + 0.5 * (HIGH - LOW) * max(-1.0, min(1.0, stick)))


def probe(turn: int) -> tuple[int, ...]:
    """Channels for finding out the mask, each at a value near the middle, where sticks say nothing.

    Two patterns alternate, so that a channel that happens to stand at one of them is not taken for moved.
    """
    offset = 40 * (turn % 2)
    return tuple(MIDDLE - 80 + 8 * channel + offset for channel in range(CHANNELS))


def as_read(channels: tuple[int, ...]) -> tuple[int, ...]:
    """Channels as MSP_RC tells them: roll, pitch, yaw, throttle, and the rest."""
    return (channels[0], channels[1], channels[3], channels[2], *channels[4:])


def followers(seen: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> set[int]:
    """Which channels, as MSP_RC counts them, follow: from pairs of what was sent and then read."""
    length = min((len(read) for _, read in seen), default=0)
    return {
        channel for channel in range(min(length, CHANNELS))
        if all(abs(read[channel] - as_read(sent)[channel]) <= 2 for sent, read in seen)
    }  # fmt: skip
