"""What a rule of the guard is: a row of its table, and a function from command to command."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

from navstack.contract import Frame, Limits, VehicleState, VelocityCommand


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Every number of the guard. Defaults suit a small multicopter that follows at about 3 m/s^2."""

    limits: Limits = field(default_factory=Limits)
    longest_dt: float = 0.3  # s, T: the longest interval between frames that the policy was trained for
    latency: float = 0.0  # s, from capture to arrival of a frame
    acceleration: float = 5.0  # m/s^2, of each commanded velocity component
    jerk: float = 60.0  # m/s^3, of each commanded velocity component
    yaw_acceleration: float = 8.0  # rad/s^2, of the commanded yaw rate
    yaw_jerk: float = 120.0  # rad/s^3, of the commanded yaw rate
    emergency: float = 20.0  # m/s^2, of each commanded component in emergency braking
    braking: float = 2.0  # m/s^2, that the vehicle is sure to decelerate with
    reaction: float = 0.6  # s, until it does; four times the lag of a vehicle that must not overshoot
    link_loss: float = 0.0  # s that the autopilot flies on without commands: its own failsafe's timeout
    drift: float = 0.0  # m/s by which the vehicle may leave its command in the strongest wind stated
    margin: float = 0.05  # m kept from every boundary
    floor: float = 1.0  # m above the ground where the vehicle measures its height, else above take-off
    ceiling: float = 20.0  # m above take-off
    fence: float = 60.0  # m from where the guard was engaged, horizontally
    polygon: tuple[tuple[float, float], ...] = ()  # m east and north of there; a fence instead of the circle
    farthest: float = 200.0  # m from where the guard was engaged
    patience: float = 10.0  # s of hovering, after which the autopilot is asked to hold
    outside: float = 5.0  # s outside a boundary without coming back, until hold
    frozen: float = 0.3  # s of bit-identical frames
    blank: float = 0.3  # s of black or saturated frames
    uncertain: float = 0.5  # uncertainty in 0..1 above which the command is scaled; 1 hovers
    stale_state: float = 0.3  # s, oldest position and velocity
    jump: float = 2.0  # m that a position may differ from what the velocity foretold
    yaw_jump: float = 0.5  # rad that a heading may differ from what the yaw rate foretold
    estimate_patience: float = 1.0  # s of hovering on a lost estimate, until landing
    follow_angle: float = 1.0  # rad between the velocity flown and the one commanded
    follow_time: float = 1.5  # s of it
    battery_hold: float = 0.25  # of its charge
    battery_land: float = 0.15  # of its charge
    battery_time: float = 3.0  # s below, so that a sag under load is no alarm
    silence: float = 0.5  # s without anything from the autopilot
    link_hold: float = 3.0  # s without a heartbeat, until the autopilot is asked to hold
    lost_messages: float = 0.3  # share of the link's messages, above which the command is halved


def guard_config(values: Mapping[str, Any]) -> GuardConfig:
    """The configuration in a mapping of its fields, as `dataclasses.asdict` and JSON leave it.

    Fields that this version does not know are left out. Raises TypeError or KeyError for another mapping.
    """
    known = {entry.name for entry in fields(GuardConfig)}
    found = {name: value for name, value in values.items() if name in known}
    polygon = tuple((float(east), float(north)) for east, north in found["polygon"])
    return GuardConfig(**{**found, "limits": Limits(**found["limits"]), "polygon": polygon})


class Demand(enum.IntEnum):
    """What the guard wants of the autopilot besides the command; the highest of all rules counts."""

    FLY = 0  # the command
    HOLD = 1  # stay in place by the autopilot's own mode
    LAND = 2  # come down here
    HAND_OVER = 3  # nothing more from us: somebody else flies


DEMANDS = {"hold": Demand.HOLD, "land": Demand.LAND, "hand over": Demand.HAND_OVER}
"""What a rule's action asks of the autopilot; every other action changes the command only."""


@dataclass(frozen=True, slots=True)
class VehicleHealth:
    """What an autopilot says of itself besides its state. A simulated vehicle without one has none."""

    estimate_ok: bool = True  # its estimator's own flags
    state_age: float = 0.0  # s since the older of position and velocity
    battery: float | None = None  # charge left, 0..1; None where it is not measured
    silence: float = 0.0  # s since its last message
    heartbeat_age: float = 0.0  # s since its last heartbeat, which comes once a second
    lost_messages: float = 0.0  # share of its messages lost lately
    in_command: bool = True  # its mode is the one in which we command


@dataclass(frozen=True, slots=True)
class Moment:
    """What the rules are told besides the command."""

    now: float  # s
    step: float  # s since the guard's last turn
    frame_age: float  # s
    state: VehicleState
    home: tuple[float, float, float]  # m, ENU: where the guard was engaged, at take-off height
    previous: VelocityCommand  # what was sent last
    frame: Frame | None = None  # the frame of this turn, if one came
    uncertainty: float | None = None  # 0..1, of the policy about its command; None where it offers none
    health: VehicleHealth | None = None

    @property
    def height(self) -> float:
        """Metres above take-off."""
        return self.state.position_enu[2] - self.home[2]

    @property
    def clearance(self) -> float:
        """Metres above the ground below where the vehicle measures it, else above take-off."""
        return self.height if self.state.height is None else self.state.height


@dataclass(frozen=True, slots=True)
class Row:
    """A rule's row in the guard's table."""

    name: str
    condition: str
    time: str
    action: str
    recovers: str


class Rule(Protocol):
    """One reason to change a command."""

    row: Row

    def reset(self) -> None:
        """Forget the last flight."""
        ...

    def apply(self, command: VelocityCommand, moment: Moment) -> tuple[VelocityCommand, str]:
        """The command that this rule lets through, and what it did to it in words (empty for nothing).

        The words "hold", "land" and "hand over" also ask that of the autopilot.
        """
        ...


class Lasting:
    """A condition with hysteresis: it counts after `begin` s of being so, until `end` s of not."""

    def __init__(self, begin: float, end: float) -> None:
        self._begin, self._end = begin, end
        self.reset()

    def reset(self) -> None:
        """It is not so."""
        self.began: float | None = None  # when it began to count
        self._changed: float | None = None  # since when the condition has been other than what counts

    def update(self, condition: bool, now: float) -> float | None:
        """Seconds since it began to count at `now`, or None while it does not."""
        if condition == (self.began is not None):
            self._changed = None
        else:
            self._changed = now if self._changed is None else self._changed
            if now - self._changed >= (self._begin if condition else self._end) - 1e-9:
                self.began, self._changed = (now if condition else None), None
        return None if self.began is None else now - self.began


def rotated(x: float, y: float, angle: float) -> tuple[float, float]:
    """A vector in the plane, rotated counter-clockwise by an angle (rad).

    By the heading it leads from forward and left to east and north, by minus the heading back.
    """
    c, s = math.cos(angle), math.sin(angle)
    return x * c - y * s, x * s + y * c
