"""What a Betaflight board tells of itself over MSP, as facts in the contract's frames."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from navstack.autopilot import msp
from navstack.autopilot.link import Finding, Firmware, Identity
from navstack.autopilot.sticks import STICKS
from navstack.contract import Quaternion, Vector3, VehicleState

if TYPE_CHECKING:
    from navstack.autopilot.motion import Motion

SLOWEST_FAILSAFE = 1.5  # s
_NAMES = {
    msp.BOX_ARM: "ARM", msp.BOX_ANGLE: "ANGLE", msp.BOX_FAILSAFE: "FAILSAFE",
    msp.BOX_MSP_OVERRIDE: "MSP OVERRIDE",
}  # fmt: skip
_PROCEDURES = {0: "land", 1: "drop", 2: "GPS rescue"}


class Board:
    """The newest of everything that the board told."""

    def __init__(self) -> None:
        self.told: set[int] = set()
        self.identity: Identity | None = None
        self._variant = ""
        self._boxes: tuple[int, ...] = ()
        self.ranges: tuple[msp.ModeRange, ...] = ()
        self.failsafe: msp.Failsafe | None = None
        self.rates: tuple[msp.Rates, msp.Rates, msp.Rates] | None = None
        self.flags, self.flags_known = 0, False
        self.channels: tuple[int, ...] = ()
        self.channels_time = -math.inf
        self.lean = (0.0, 0.0)  # rad, roll to the right and pitch nose down
        self.yaw = 0.0  # rad, counter-clockwise from east
        self.attitude_time = -math.inf
        self.body_rates: Vector3 = (0.0, 0.0, 0.0)
        self.voltage: float | None = None

    def take(self, reply: msp.Reply, now: float) -> None:
        """Learn from one answer; one that is too short says nothing."""
        handler = _HANDLERS.get(reply.command)
        if reply.ok and handler is not None and len(reply.data) >= handler[0]:
            handler[1](self, reply.data, now)
            self.told.add(reply.command)

    def active(self, box: int) -> bool:
        """Whether a mode is on."""
        return box in self._boxes and bool(self.flags >> self._boxes.index(box) & 1)

    @property
    def mode_name(self) -> str:
        """The modes that matter and are on."""
        return "+".join(name for box, name in _NAMES.items() if self.active(box)) or "none"

    def state(self, motion: Motion, position: tuple[float, float]) -> VehicleState:
        """Attitude of the board, velocity and height of the source."""
        forward, left, up = motion.velocity
        cos_yaw, sin_yaw = math.cos(self.yaw), math.sin(self.yaw)
        velocity = (forward * cos_yaw - left * sin_yaw, forward * sin_yaw + left * cos_yaw, up)
        time = min(self.attitude_time, motion.time)
        return VehicleState(time, (*position, motion.height), velocity, self._orientation(), self.body_rates)

    def _orientation(self) -> Quaternion:
        roll, pitch = self.lean
        cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
        cy, sy = math.cos(self.yaw / 2), math.sin(self.yaw / 2)
        return (
            sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy,
        )  # fmt: skip

    def findings(self, follow: set[int] | None, unfit: str, watched: bool) -> tuple[Finding, ...]:
        """The judgement of what was told and probed."""
        switches = {r.channel for r in self.ranges if r.box in (msp.BOX_ARM, msp.BOX_MSP_OVERRIDE)}
        boxes = {r.box for r in self.ranges}
        probed = follow is not None
        mask_ok = probed and follow is not None and set(STICKS) <= follow and not switches & follow
        found = f"channels {sorted(follow)}" if follow is not None else "not probed"
        fail = self.failsafe
        return (
            Finding("firmware", str(self.identity), "Betaflight", self._variant == "BTFL",
                    "this link speaks to Betaflight only", "src/main/msp/msp.c, MSP_FC_VARIANT"),
            Finding("switches", f"{len(boxes & set(_NAMES))} of arm, angle, override on switches",
                    "arm and override on receiver switches",
                    {msp.BOX_ARM, msp.BOX_MSP_OVERRIDE} <= boxes,
                    "put ARM and MSP OVERRIDE on switches of the receiver (Modes)",
                    "src/main/msp/msp_box.c"),
            Finding("override mask", found, "the four sticks, and neither the arm nor the override switch",
                    mask_ok, "set msp_override_channels_mask = 15; switch the override on while disarmed",
                    "src/main/rx/msp_override.c"),
            Finding("failsafe", f"{_PROCEDURES.get(fail.procedure, '?')} after {fail.delay:g} s" if fail else
                    "not told", f"any procedure within {SLOWEST_FAILSAFE:g} s",
                    fail is not None and fail.delay <= SLOWEST_FAILSAFE,
                    "set failsafe_delay to 15 or less", "src/main/flight/failsafe.c"),
            Finding("rates", "actual" if self.rates and self.rates[0].actual else "another curve", "actual",
                    self.rates is not None and self.rates[0].actual, "set rates_type = ACTUAL",
                    "src/main/fc/rc.c, applyActualRates"),
            Finding("watchdog", "runs" if watched else "none", "runs", watched,
                    "older Betaflight flies the last sticks for ever when the companion is silent",
                    "src/main/rx/msp_override.c"),
            Finding("estimate", unfit or "good", "good", not unfit, "start the source of velocity", ""),
        )  # fmt: skip

    def _fc_variant(self, data: bytes, now: float) -> None:
        self._variant = data[:4].decode("ascii", "replace")

    def _fc_version(self, data: bytes, now: float) -> None:
        version = (data[0], data[1], data[2])
        if self._variant == "BTFL":
            self.identity = Identity(Firmware.BETAFLIGHT, version, vehicle="quadrotor")

    def _box_ids(self, data: bytes, now: float) -> None:
        self._boxes = tuple(data)

    def _mode_ranges(self, data: bytes, now: float) -> None:
        self.ranges = msp.mode_ranges(data)

    def _failsafe(self, data: bytes, now: float) -> None:
        self.failsafe = msp.Failsafe.parse(data)

    def _rc_tuning(self, data: bytes, now: float) -> None:
        self.rates = msp.Rates.parse(data)

    def _status(self, data: bytes, now: float) -> None:
        (flags,) = struct.unpack_from("<I", data, 6)
        more = data[16 : 16 + data[15]] if len(data) > 16 else b""
        self.flags, self.flags_known = flags | int.from_bytes(more, "little") << 32, True

    def _rc(self, data: bytes, now: float) -> None:
        self.channels_time = now
        self.channels = struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2])

    def _attitude(self, data: bytes, now: float) -> None:
        """Roll to the right and pitch nose down in tenths of a degree, heading clockwise in degrees."""
        roll, pitch, heading = struct.unpack_from("<hhh", data)
        self.lean = (math.radians(roll / 10.0), math.radians(pitch / 10.0))
        self.yaw = math.remainder(math.pi / 2.0 - math.radians(heading), math.tau)
        self.attitude_time = now

    def _imu(self, data: bytes, now: float) -> None:
        x, y, z = struct.unpack_from("<hhh", data, 6)
        self.body_rates = (math.radians(x), math.radians(y), math.radians(z))

    def _analog(self, data: bytes, now: float) -> None:
        (hundredths,) = struct.unpack_from("<H", data, 7) if len(data) >= 9 else (data[0] * 10,)
        self.voltage = hundredths / 100.0


_HANDLERS = {  # command -> least bytes, what is learnt
    msp.FC_VARIANT: (4, Board._fc_variant),
    msp.FC_VERSION: (3, Board._fc_version),
    msp.BOXIDS: (1, Board._box_ids),
    msp.MODE_RANGES: (4, Board._mode_ranges),
    msp.FAILSAFE_CONFIG: (8, Board._failsafe),
    msp.RC_TUNING: (23, Board._rc_tuning),
    msp.STATUS: (16, Board._status),
    msp.RC: (8, Board._rc),
    msp.ATTITUDE: (6, Board._attitude),
    msp.RAW_IMU: (12, Board._imu),
    msp.ANALOG: (1, Board._analog),
}
