"""The contract between camera, policy, guard and vehicle: types, units and frames.

SI units and radians everywhere. The world frame is ENU (x east, y north, z up) and the body frame FLU
(x forward, y left, z up), after ROS REP 103. Commands live in the *level body frame*: heading-aligned and
independent of roll and pitch. NED and FRD exist only inside the autopilot links.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # x, y, z, w
"""x, y, z as plain floats: the control path runs hundreds of times a second, where small arrays cost more."""

Image = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class VelocityCommand:
    """A velocity in the level body frame, held until the next command."""

    forward: float  # m/s
    left: float  # m/s
    up: float  # m/s
    yaw_rate: float  # rad/s, counter-clockwise seen from above

    def as_array(self) -> npt.NDArray[np.float32]:
        """The command as (4,) float32: forward, left, up, yaw_rate."""
        return np.array((self.forward, self.left, self.up, self.yaw_rate), dtype=np.float32)

    @classmethod
    def from_array(cls, values: npt.ArrayLike) -> VelocityCommand:
        """The command in (4,) values: forward, left, up, yaw_rate. Raises ValueError for another shape."""
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (4,):
            raise ValueError(
                f"a velocity command has shape (4,): forward, left, up, yaw_rate; found {array.shape}"
            )
        return cls(*array.tolist())

    def is_finite(self) -> bool:
        """Whether every component is a finite number."""
        finite = math.isfinite
        return finite(self.forward) and finite(self.left) and finite(self.up) and finite(self.yaw_rate)


ZERO_COMMAND = VelocityCommand(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest magnitude of each component of a command."""

    forward: float = 2.0  # m/s
    left: float = 1.0  # m/s
    up: float = 1.0  # m/s
    yaw_rate: float = 1.2  # rad/s

    def as_array(self) -> npt.NDArray[np.float32]:
        """The limits as (4,) float32: forward, left, up, yaw_rate."""
        return np.array((self.forward, self.left, self.up, self.yaw_rate), dtype=np.float32)

    def clamp(self, command: VelocityCommand) -> VelocityCommand:
        """The command with each component brought inside its limit; the same object where all are."""
        if (
            -self.forward <= command.forward <= self.forward
            and -self.left <= command.left <= self.left
            and -self.up <= command.up <= self.up
            and -self.yaw_rate <= command.yaw_rate <= self.yaw_rate
        ):
            return command
        return VelocityCommand(
            max(-self.forward, min(self.forward, command.forward)),
            max(-self.left, min(self.left, command.left)),
            max(-self.up, min(self.up, command.up)),
            max(-self.yaw_rate, min(self.yaw_rate, command.yaw_rate)),
        )


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """The camera that a policy was trained with, and that whoever flies it must provide."""

    height: int = 64  # pixels
    width: int = 96  # pixels
    horizontal_fov: float = math.radians(80.0)  # rad
    pitch: float = 0.0  # rad, positive looks up
    color_order: str = "RGB"
    latency: float = 0.0  # s between capture and arrival that the policy was trained with

    @property
    def vertical_fov(self) -> float:
        """Vertical field of view of the pinhole camera with square pixels, in radians."""
        return 2.0 * math.atan(math.tan(self.horizontal_fov / 2.0) * self.height / self.width)


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image with the time at which it was taken, on the flight loop's clock."""

    image: Image
    capture_time: float  # s
    repeated: bool | None = None  # bit-identical to the one before at full resolution; None: not compared


def yaw_of(orientation: Quaternion) -> float:
    """Heading in radians, counter-clockwise from east, of a unit quaternion that turns FLU into ENU."""
    x, y, z, w = orientation
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


@dataclass(frozen=True, slots=True)
class VehicleState:
    """What the vehicle reports of itself (in simulation: the truth)."""

    time: float  # s, on the flight loop's clock
    position_enu: Vector3  # m
    velocity_enu: Vector3  # m/s
    orientation: Quaternion  # unit quaternion x, y, z, w turning FLU into ENU
    angular_velocity_flu: Vector3  # rad/s
    height: float | None = None  # m above the ground below, where something measures it

    @property
    def yaw(self) -> float:
        """Heading in radians, counter-clockwise from east."""
        return yaw_of(self.orientation)

    @property
    def speed(self) -> float:
        """Magnitude of the velocity in m/s."""
        return math.hypot(*self.velocity_enu)


CARD_FORMAT = 1
"""Newest policy card format that this version writes and reads."""


@dataclass(frozen=True, slots=True)
class PolicyCard:
    """What a policy file says of itself; stored as JSON in the metadata of `policy.onnx`."""

    task: str  # for instance "FlyToTarget"
    targets: tuple[str, ...]  # marker kinds that the policy was trained to fly to
    network: str  # preset's name
    wiring: str  # connectivity: "strict" or "ncps"; "dense" where no wiring is followed
    state_size: int  # S, at least 1
    effective_parameters: int  # of the recurrent core: entries of unmasked weights, and biases
    raw_parameters: int  # of the recurrent core, masked entries included
    vision_parameters: int  # of the CNN
    neurons: int
    synapses: int
    camera: CameraSpec = field(default_factory=CameraSpec)
    rate_hz: float = 20.0  # nominal frame rate; the first dt after a reset is one nominal period
    dt_min: float = 1.0 / 60.0  # s; the graph clamps dt to [dt_min, dt_max]
    dt_max: float = 0.3  # s
    limits: Limits = field(default_factory=Limits)
    training: dict[str, Any] = field(default_factory=dict)  # command line, worlds, episodes, seeds
    evaluation: tuple[dict[str, Any], ...] = ()  # rows of `navstack evaluate --json`
    real_flights: int = 0
    code_version: str = ""
    format: int = CARD_FORMAT
