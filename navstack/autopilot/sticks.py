"""From what the velocity loop demands to Betaflight's channels, and which channels an override moves."""

from __future__ import annotations

import math

from navstack.autopilot.msp import CHANNELS, HIGH, LOW, MIDDLE, Rates
from navstack.autopilot.velocity_loop import Demand

STICKS = (0, 1, 2, 3)  # roll, pitch, throttle, yaw: Betaflight's default map AETR1234


def channels(demand: Demand, rates: tuple[Rates, Rates, Rates], angle_limit: float) -> tuple[int, ...]:
    """All sixteen channels in us.

    In ANGLE mode the angle wanted is the limit times the curve's rate over its largest (src/main/flight/
    pid.c, pidLevel, since 4.5), so small angles need more stick than their share.

    Args:
        demand: what the vehicle shall do.
        rates: the curves of roll, pitch and yaw.
        angle_limit: rad at full stick in ANGLE mode.
    """
    roll = _lean(demand.right_down / angle_limit, rates[0])
    pitch = _lean(demand.nose_down / angle_limit, rates[1])
    # Betaflight's yaw stick turns clockwise to the right.
    yaw = _deflected(rates[2].stick(-math.degrees(demand.yaw_rate)))
    throttle = round(LOW + (HIGH - LOW) * max(0.0, min(1.0, demand.throttle)))
    return (roll, pitch, throttle, yaw, *((MIDDLE,) * (CHANNELS - 4)))


def _lean(share: float, rates: Rates) -> int:
    return _deflected(rates.stick(max(-1.0, min(1.0, share)) * rates.rate(1.0)))


def _deflected(stick: float) -> int:
    return round(MIDDLE + 0.5 * (HIGH - LOW) * max(-1.0, min(1.0, stick)))


def probe(turn: int) -> tuple[int, ...]:
    """Channels for finding out the mask, each at a value near the middle, where sticks say nothing.

    Two patterns alternate, so that a channel that happens to stand at one of them is not taken for moved.
    """
    offset = 40 * (turn % 2)
    return tuple(MIDDLE - 80 + 8 * channel + offset for channel in range(CHANNELS))


def as_read(sent: tuple[int, ...]) -> tuple[int, ...]:
    """Channels as MSP_RC tells them: roll, pitch, yaw, throttle, and the rest."""
    return (sent[0], sent[1], sent[3], sent[2], *sent[4:])


def followers(seen: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> set[int]:
    """Which channels, as MSP_RC counts them, follow: from pairs of what was sent and then read."""
    length = min((len(read) for _, read in seen), default=0)
    return {
        channel for channel in range(min(length, CHANNELS))
        if all(abs(read[channel] - as_read(sent)[channel]) <= 2 for sent, read in seen)
    }  # fmt: skip
