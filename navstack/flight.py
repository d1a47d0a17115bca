"""The closed loop: camera, policy, guard, vehicle. Judging in simulation and flying a drone are this one loop.

Only the camera, the vehicle and the clock are exchanged. Nothing here reads a clock by itself: in simulation
waiting for a frame is what advances the physics.
"""

from __future__ import annotations

from typing import Protocol

from navstack.contract import Frame, Image, PolicyCard, VehicleState, VelocityCommand


class Policy(Protocol):
    """What turns frames into commands. `OnnxPolicy` is the one that flies; experts and mixtures share it."""

    @property
    def card(self) -> PolicyCard:
        """What the policy expects and promises."""
        ...

    def reset(self) -> None:
        """Forget everything seen: the next frame is the first."""
        ...

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """The command for a frame, `dt` seconds after the previous frame that the policy saw."""
        ...


class Clock(Protocol):
    """The flight loop's only source of time."""

    def now(self) -> float:
        """Seconds since an arbitrary, fixed instant; never goes back."""
        ...


class FrameSource(Protocol):
    """Where frames come from; the newest wins and there is no queue."""

    def wait(self, deadline: float) -> Frame | None:
        """The newest frame not yet returned, waiting for one until `deadline`; None where none came."""
        ...


class Vehicle(Protocol):
    """What flies."""

    def state(self) -> VehicleState:
        """The newest state that the vehicle reported."""
        ...

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity until the next command."""
        ...
