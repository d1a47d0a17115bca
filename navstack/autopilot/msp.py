"""MSP, the protocol of Betaflight's configurator: frames, and the few messages that a link needs.

Sources: src/main/msp/msp_serial.c (version 1 frames: `$M`, direction, size, command, payload, xor),
src/main/msp/msp_protocol.h (numbers), src/main/msp/msp.c (contents) of Betaflight 4.6.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

FC_VARIANT, FC_VERSION = 2, 3
BATTERY_CONFIG, MODE_RANGES, FAILSAFE_CONFIG, PID_ADVANCED = 32, 34, 75, 94
STATUS, RC, ATTITUDE, RC_TUNING, BOXIDS, BATTERY_STATE = 101, 105, 108, 111, 119, 130
SET_RAW_RC = 200
LONGEST = 255  # bytes of payload in version 1
MIDDLE, LOW, HIGH = 1500, 1000, 2000  # us
CHANNELS = 16  # always all of them: a short frame leaves the rest at 0, which older firmware flies as 885 us

ARMING = (  # armingDisableFlagNames, src/main/fc/runtime_config.c; the last of a version is ARM_SWITCH
    "NOGYRO", "FAILSAFE", "RXLOSS", "NOT_DISARMED", "BOXFAILSAFE", "RUNAWAY", "CRASH", "THROTTLE", "ANGLE",
    "BOOTGRACE", "NOPREARM", "LOAD", "CALIB", "CLI", "CMS", "BST", "MSP", "PARALYZE", "GPS", "RESCUE_SW",
    "DSHOT_TELEM", "REBOOT_REQD", "DSHOT_BBANG", "NO_ACC_CAL", "MOTOR_PROTO", "FLIP_SWITCH", "ALT_HOLD_SW",
    "POS_HOLD_SW", "AUTOPILOT_SW",
)  # fmt: skip

BOX_ARM, BOX_ANGLE, BOX_FAILSAFE, BOX_MSP_OVERRIDE = 0, 1, 27, 50  # permanent ids, src/main/msp/msp_box.c


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer of the flight controller."""

    command: int
    data: bytes
    ok: bool  # False where it does not know the command


def encode(command: int, data: bytes = b"") -> bytes:
    """A version 1 request."""
    body = bytes((len(data), command)) + data
    checksum = 0
    for byte in body:
        checksum ^= byte
    return b"$M<" + body + bytes((checksum,))


def encode_channels(channels: tuple[int, ...]) -> bytes:
    """SET_RAW_RC for all sixteen channels, in the receiver's order, in us."""
    if len(channels) != CHANNELS:
        raise ValueError(f"MSP override needs all {CHANNELS} channels; found {len(channels)}")
    return encode(SET_RAW_RC, struct.pack(f"<{CHANNELS}H", *channels))


class Parser:
    """Finds whole answers in whatever arrives; rubbish is skipped and counted."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.corrupted = 0

    def feed(self, data: bytes) -> list[Reply]:
        """The answers that are complete now."""
        buffer = self._buffer
        found: list[Reply] = []
        buffer += data
        while True:
            start = buffer.find(b"$M")
            if start < 0:
                keep = 1 if buffer.endswith(b"$") else 0
                self.corrupted += len(buffer) > keep
                del buffer[: len(buffer) - keep]
                return found
            if start > 0:
                self.corrupted += 1
                del buffer[:start]
            if len(buffer) < 5:
                return found
            size = buffer[3]
            if len(buffer) < size + 6:
                return found
            reply = self._whole(bytes(buffer[: size + 6]))
            if reply is None:
                self.corrupted += 1
                del buffer[:2]  # the next `$M` may stand inside
            else:
                found.append(reply)
                del buffer[: size + 6]

    @staticmethod
    def _whole(frame: bytes) -> Reply | None:
        checksum = 0
        for byte in frame[3:-1]:
            checksum ^= byte
        if checksum != frame[-1] or frame[2:3] not in (b">", b"!"):
            return None
        return Reply(frame[4], frame[5:-1], frame[2:3] == b">")


def arming_obstacles(count: int, flags: int) -> tuple[str, ...]:
    """The names of what keeps it from arming, from STATUS: how many flags there are, and which are set."""
    names = (*ARMING[: max(0, count - 1)], *(f"flag {bit}" for bit in range(len(ARMING), count - 1)))
    return tuple(
        name for bit, name in enumerate((*names, "ARM_SWITCH")) if bit < min(count, 32) and flags >> bit & 1
    )


@dataclass(frozen=True, slots=True)
class ModeRange:
    """A mode and the channel that switches it."""

    box: int  # permanent id
    channel: int  # index among all channels: 4 for AUX1
    low: int  # us
    high: int  # us


def mode_ranges(data: bytes) -> tuple[ModeRange, ...]:
    """MODE_RANGES: four bytes each; a range that is empty switches nothing."""
    found = []
    for i in range(0, len(data) - 3, 4):
        box, channel, start, end = data[i : i + 4]
        if start < end:
            found.append(ModeRange(box, channel + 4, 900 + 25 * start, 900 + 25 * end))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Failsafe:
    """FAILSAFE_CONFIG: what happens when the receiver is lost."""

    delay: float  # s until it begins
    procedure: int  # 0 land, 1 drop, 2 GPS rescue

    @classmethod
    def parse(cls, data: bytes) -> Failsafe | None:
        """From the message; None where it is shorter than its first eight bytes."""
        return cls(data[0] / 10.0, data[7]) if len(data) >= 8 else None


@dataclass(frozen=True, slots=True)
class Rates:
    """The curve from stick to rate of one axis, from RC_TUNING."""

    center: float  # degrees/s per full stick around the middle
    maximum: float  # degrees/s at full stick
    expo: float  # 0 to 1
    actual: bool  # whether it is the ACTUAL curve, the default since 4.2

    @classmethod
    def parse(cls, data: bytes) -> tuple[Rates, Rates, Rates]:
        """Roll, pitch and yaw, from a message of at least 23 bytes."""
        places = ((0, 2, 1), (12, 3, 13), (11, 4, 10))  # of centre, maximum and expo of each axis
        roll, pitch, yaw = (
            cls(10.0 * data[c], 10.0 * data[m], data[e] / 100.0, data[22] == 3) for c, m, e in places
        )
        return roll, pitch, yaw

    def rate(self, stick: float) -> float:
        """Degrees/s at a stick of -1 to 1: src/main/fc/rc.c, applyActualRates."""
        size = abs(stick)
        expo = size * (self.expo * stick**5 + stick * (1.0 - self.expo))
        return stick * self.center + max(0.0, self.maximum - self.center) * expo

    def stick(self, rate: float) -> float:
        """The stick of -1 to 1 that gives this rate (degrees/s), by bisection of a curve that only rises."""
        low, high = -1.0, 1.0
        for _ in range(24):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.rate(middle) < rate else (low, middle)
        return 0.5 * (low + high)
