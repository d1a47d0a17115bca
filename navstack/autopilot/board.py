"""What a Betaflight board tells of itself over MSP, as facts in the contract's frames."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

from navstack.autopilot import msp
from navstack.autopilot.link import Battery, Firmware, Identity
from navstack.contract import Quaternion, VehicleState

if TYPE_CHECKING:
    from navstack.autopilot.motion import Motion

_CHARGE = {1: "low", 2: "critical"}  # batteryState_e
_NAMES = {
    msp.BOX_ARM: "ARM", msp.BOX_ANGLE: "ANGLE", msp.BOX_FAILSAFE: "FAILSAFE",
    msp.BOX_MSP_OVERRIDE: "MSP OVERRIDE",
}  # fmt: skip


class Board:
    """The newest of everything that the board told."""

    def __init__(self) -> None:
        self.told: set[int] = set()
        self.identity: Identity | None = None
        self.variant = ""
        self._boxes: tuple[int, ...] = ()
        self.ranges: tuple[msp.ModeRange, ...] = ()
        self.failsafe: msp.Failsafe | None = None
        self.rates: tuple[msp.Rates, msp.Rates, msp.Rates] | None = None
        self.flags, self.flags_known = 0, False
        self.channels: tuple[int, ...] = ()
        self.channels_time = -math.inf
        self.lean = (0.0, 0.0)  # rad, roll to the right and pitch nose down
        self.attitude_time = -math.inf
        self.lean_rates = (0.0, 0.0)  # rad/s, of both, as the last two attitudes tell
        self.angle_limit: float | None = None  # rad at full stick in ANGLE mode
        self.arming: tuple[str, ...] = ()  # what keeps it from arming, by Betaflight's names
        self.battery = Battery()
        self.cells = 0
        self._cell_volts = (0.0, 0.0)  # V, of an empty and a full cell

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

    def state(self, motion: Motion, yaw_rate: float) -> VehicleState:
        """Lean of the board; position, velocity and heading of the source.

        The heading is the source's: its velocity is told in that frame, and few boards have a compass. Rates
        are those of the attitudes told: the gyro's own, of one instant, foretell nothing.
        """
        time = min(self.attitude_time, motion.time)
        return VehicleState(
            time, motion.position_enu, motion.velocity_enu, self._orientation(motion.yaw),
            (*self.lean_rates, yaw_rate), motion.above_ground,
        )  # fmt: skip

    def _orientation(self, yaw: float) -> Quaternion:
        roll, pitch = self.lean
        cr, sr, cp, sp = math.cos(roll / 2), math.sin(roll / 2), math.cos(pitch / 2), math.sin(pitch / 2)
        cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
        return (
            sr * cp * cy - cr * sp * sy, cr * sp * cy + sr * cp * sy,
            cr * cp * sy - sr * sp * cy, cr * cp * cy + sr * sp * sy,
        )  # fmt: skip

    def _fc_variant(self, data: bytes, now: float) -> None:
        self.variant = data[:4].decode("ascii", "replace")

    def _fc_version(self, data: bytes, now: float) -> None:
        version = (data[0], data[1], data[2])
        if self.variant == "BTFL":
            self.identity = Identity(Firmware.BETAFLIGHT, version, vehicle="quadrotor")

    def _box_ids(self, data: bytes, now: float) -> None:
        self._boxes = tuple(data)

    def _mode_ranges(self, data: bytes, now: float) -> None:
        self.ranges = msp.mode_ranges(data)

    def _failsafe(self, data: bytes, now: float) -> None:
        self.failsafe = msp.Failsafe.parse(data)

    def _rc_tuning(self, data: bytes, now: float) -> None:
        self.rates = msp.Rates.parse(data)

    def _pid_advanced(self, data: bytes, now: float) -> None:
        self.angle_limit = math.radians(data[17])

    def _status(self, data: bytes, now: float) -> None:
        (flags,) = struct.unpack_from("<I", data, 6)
        rest = 16 + (data[15] & 0x0F)
        self.flags = flags | int.from_bytes(data[16:rest], "little") << 32
        self.flags_known = True
        if len(data) >= rest + 5:
            self.arming = msp.arming_obstacles(data[rest], *struct.unpack_from("<I", data, rest + 1))

    def _rc(self, data: bytes, now: float) -> None:
        self.channels_time = now
        self.channels = struct.unpack(f"<{len(data) // 2}H", data[: len(data) // 2 * 2])

    def _attitude(self, data: bytes, now: float) -> None:
        """Roll to the right and pitch nose down in tenths of a degree; its heading is not used."""
        roll, pitch = struct.unpack_from("<hh", data)
        lean, passed = (math.radians(roll / 10.0), math.radians(pitch / 10.0)), now - self.attitude_time
        if 0.0 < passed < math.inf:
            self.lean_rates = ((lean[0] - self.lean[0]) / passed, (lean[1] - self.lean[1]) / passed)
        self.lean, self.attitude_time = lean, now

    def _battery_config(self, data: bytes, now: float) -> None:
        empty, full = struct.unpack_from("<HH", data, 7)
        self._cell_volts = (empty / 100.0, full / 100.0)

    def _battery(self, data: bytes, now: float) -> None:
        """Charge as Betaflight's own display reckons it: src/main/sensors/battery.c,
        calculateBatteryPercentageRemaining."""
        cells, capacity, _, drawn, current, charge, hundredths = struct.unpack_from("<BHBHhBH", data)
        self.cells, voltage = cells, hundredths / 100.0
        if not cells:
            self.battery = Battery()
            return
        empty, full = (cells * volts for volts in self._cell_volts)
        remaining = None
        if capacity:
            remaining = (capacity - drawn) / capacity
        elif full > empty:
            remaining = (voltage - empty) / (full - empty)
        if remaining is not None:
            remaining = max(0.0, min(1.0, remaining))
        self.battery = Battery(remaining, voltage, current / 100.0, _CHARGE.get(charge, ""))


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
    msp.PID_ADVANCED: (18, Board._pid_advanced),
    msp.BATTERY_CONFIG: (11, Board._battery_config),
    msp.BATTERY_STATE: (11, Board._battery),
}
