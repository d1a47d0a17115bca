"""The autopilot's messages as facts in the contract's frames, with the age of each."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as dialect

from navstack.autopilot.link import Battery, EstimateHealth
from navstack.autopilot.mavlink.frames import frd_to_flu, ned_to_enu, orientation_from_euler
from navstack.autopilot.mavlink.timesync import TimeSync
from navstack.contract import Quaternion, Vector3, VehicleState

JUMP_MEMORY = 1.0  # s that a jump is reported
JUMP_WITHIN = 0.5  # s: after a longer gap nobody knows where the vehicle would be
FLAGS_SILENT = 5.0  # s: an estimator that reported before and says nothing for this long is not trusted
REBOOT = 1.0  # s that the autopilot's clock may seem to go back without having been reset
FURTHEST = 1e6  # m: no vehicle is further from its origin; what says so is damaged
_LANDED = {1: True, 2: False, 3: False, 4: False}  # MAV_LANDED_STATE: on ground, in air, taking off, landing
_CHARGE = {2: "low", 3: "critical", 4: "emergency", 5: "failed", 6: "unhealthy"}  # MAV_BATTERY_CHARGE_STATE
_NEEDED = (  # ESTIMATOR_STATUS_FLAGS; EKF_STATUS_FLAGS has the same first ten bits
    (dialect.ESTIMATOR_ATTITUDE, "attitude"),
    (dialect.ESTIMATOR_VELOCITY_HORIZ, "horizontal velocity"),
    (dialect.ESTIMATOR_VELOCITY_VERT, "vertical velocity"),
    (dialect.ESTIMATOR_POS_HORIZ_REL | dialect.ESTIMATOR_POS_HORIZ_ABS, "horizontal position"),
    (dialect.ESTIMATOR_POS_VERT_ABS | dialect.ESTIMATOR_POS_VERT_AGL, "height"),
)


def estimator_complaints(flags: int) -> str:
    """What an estimator's flags lack, in words; empty for nothing."""
    missing = [f"no {name}" for bits, name in _NEEDED if not flags & bits]
    if flags & dialect.ESTIMATOR_CONST_POS_MODE:
        missing.append("assumes that it stands still")
    return ", ".join(missing)


class Telemetry:
    """The newest of everything that the vehicle told."""

    def __init__(self, sync: TimeSync) -> None:
        self._sync = sync
        self._boot = -math.inf  # s, newest stamp on the autopilot's clock
        self.rebooted = False
        self.orientation: Quaternion | None = None
        self.rates: Vector3 = (0.0, 0.0, 0.0)
        self.yaw_ned = 0.0  # rad, clockwise from north
        self.attitude_time = -math.inf  # s, our clock
        self.position: Vector3 | None = None  # m, ENU
        self.velocity: Vector3 = (0.0, 0.0, 0.0)  # m/s, ENU
        self.position_time = -math.inf
        self._jumps: deque[tuple[float, float]] = deque()  # when, m
        self.estimator_flags: int | None = None
        self.estimator_time = -math.inf
        self.battery = Battery()
        self.landed: bool | None = None
        self.home_enu: Vector3 | None = None
        self.altitude_msl: float | None = None
        self.height_above_ground: float | None = None

    def take(self, message: Any, now: float) -> None:
        """Learn from one message that arrived at `now`."""
        handler = _HANDLERS.get(message.get_type())
        if handler is not None:
            handler(self, message, now)

    def forget(self) -> None:
        """The autopilot began anew: nothing that it told before holds."""
        self.__init__(self._sync)  # type: ignore[misc]

    @property
    def complete(self) -> bool:
        """Whether attitude, position and velocity have come once."""
        return self.orientation is not None and self.position is not None

    def state(self) -> VehicleState:
        """The newest state; its time is that of the older of attitude and position."""
        assert self.orientation is not None
        assert self.position is not None
        time = min(self.attitude_time, self.position_time)
        return VehicleState(time, self.position, self.velocity, self.orientation, self.rates)

    def health(self, now: float) -> EstimateHealth:
        """How far the estimate can be believed now."""
        while self._jumps and now - self._jumps[0][0] > JUMP_MEMORY:
            self._jumps.popleft()
        flags_ok, words = None, ""
        if self.estimator_flags is not None:
            words = estimator_complaints(self.estimator_flags)
            if now - self.estimator_time > FLAGS_SILENT:
                words = "the estimator has fallen silent"
            flags_ok = not words
        return EstimateHealth(
            attitude_age=now - self.attitude_time,
            position_age=now - self.position_time,
            velocity_age=now - self.position_time,
            flags_ok=flags_ok,
            flags=words,
            jump=max((size for _, size in self._jumps), default=0.0),
        )

    def _stamp(self, boot_ms: int, now: float) -> float | None:
        """When it was true on our clock; its arrival where it bears no stamp; None after a reboot."""
        if boot_ms == 0:
            return now
        boot = boot_ms * 1e-3
        if boot < self._boot - REBOOT:
            self.rebooted = True
            return None
        self._boot = max(self._boot, boot)
        return self._sync.local(boot, now)

    def _attitude(self, message: Any, now: float) -> None:
        angles = (message.roll, message.pitch, message.yaw)
        rates = (message.rollspeed, message.pitchspeed, message.yawspeed)
        if not all(map(math.isfinite, (*angles, *rates))):
            return
        time = self._stamp(message.time_boot_ms, now)
        if time is None or time < self.attitude_time:
            return
        self.attitude_time, self.yaw_ned = time, message.yaw
        self.orientation, self.rates = orientation_from_euler(*angles), frd_to_flu(rates)

    def _local_position(self, message: Any, now: float) -> None:
        position, velocity = (message.x, message.y, message.z), (message.vx, message.vy, message.vz)
        if not all(math.isfinite(value) and abs(value) < FURTHEST for value in (*position, *velocity)):
            return
        time = self._stamp(message.time_boot_ms, now)
        if time is None or time < self.position_time:
            return
        enu = ned_to_enu(position)
        if self.position is not None and time - self.position_time < JUMP_WITHIN:
            passed = time - self.position_time
            led = (p + v * passed for p, v in zip(self.position, self.velocity, strict=True))
            self._jumps.append((now, math.dist(enu, tuple(led))))
        self.position, self.velocity = enu, ned_to_enu(velocity)
        self.position_time = time

    def _estimator(self, message: Any, now: float) -> None:
        self.estimator_flags, self.estimator_time = message.flags, now

    def _sys_status(self, message: Any, now: float) -> None:
        b = self.battery
        self.battery = Battery(
            message.battery_remaining / 100.0 if 0 <= message.battery_remaining <= 100 else None,
            message.voltage_battery / 1000.0 if message.voltage_battery != 0xFFFF else None,
            message.current_battery / 100.0 if message.current_battery >= 0 else None,
            b.warning,
        )

    def _battery_status(self, message: Any, now: float) -> None:
        b = self.battery
        self.battery = Battery(b.remaining, b.voltage, b.current, _CHARGE.get(message.charge_state, ""))

    def _extended(self, message: Any, now: float) -> None:
        self.landed = _LANDED.get(message.landed_state)

    def _home(self, message: Any, now: float) -> None:
        if all(map(math.isfinite, (message.x, message.y, message.z))):
            self.home_enu = ned_to_enu((message.x, message.y, message.z))

    def _global(self, message: Any, now: float) -> None:
        self.altitude_msl = message.alt * 1e-3

    def _distance(self, message: Any, now: float) -> None:
        if message.orientation == dialect.MAV_SENSOR_ROTATION_PITCH_270:
            inside = message.min_distance < message.current_distance < message.max_distance
            self.height_above_ground = message.current_distance * 1e-2 if inside else None


_HANDLERS = {
    "ATTITUDE": Telemetry._attitude,
    "LOCAL_POSITION_NED": Telemetry._local_position,
    "ESTIMATOR_STATUS": Telemetry._estimator,
    "EKF_STATUS_REPORT": Telemetry._estimator,
    "SYS_STATUS": Telemetry._sys_status,
    "BATTERY_STATUS": Telemetry._battery_status,
    "EXTENDED_SYS_STATE": Telemetry._extended,
    "HOME_POSITION": Telemetry._home,
    "GLOBAL_POSITION_INT": Telemetry._global,
    "DISTANCE_SENSOR": Telemetry._distance,
}
