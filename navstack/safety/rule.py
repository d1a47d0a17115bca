"""What a rule of the guard is: a row of its table, and a function from command to command."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from navstack.contract import Limits, VehicleState, VelocityCommand


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
    braking: float = 2.0  # m/s^2, that the vehicle is sure to decelerate with
    reaction: float = 0.6  # s, until it does; four times the lag of a vehicle that must not overshoot
    margin: float = 0.05  # m kept from every boundary
    floor: float = 1.0  # m above the ground where the vehicle measures its height, else above take-off
    ceiling: float = 20.0  # m above take-off
    fence: float = 60.0  # m from where the guard was engaged, horizontally


@dataclass(frozen=True, slots=True)
class Moment:
    """What the rules are told besides the command."""

    now: float  # s
    step: float  # s since the guard's last turn
    frame_age: float  # s
    state: VehicleState
    home: tuple[float, float, float]  # m, ENU: where the guard was engaged, at take-off height
    previous: VelocityCommand  # what was sent last


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
        """The command that this rule lets through, and what it did to it in words (empty for nothing)."""
        ...
