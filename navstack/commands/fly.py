"""`navstack fly`: the closed loop, once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Fly:
    """Fly a policy once through the guarded closed loop.

    The vehicle is the simulated one: in lock-step by default, with --real-time at the pace of the wall clock.
    The exit status is 0 when the flight succeeded and 1 when it ended otherwise.
    """

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    vehicle: str = "sim"
    """What flies: sim, the simulated quadrotor."""
    env: str = "FlyToTarget"
    """Task to fly."""
    world: str = "meadow"
    """World by name or by path of a world file."""
    seed: int = 0
    """Seed of the exact world."""
    rate: float = 20.0
    """Camera frames per second."""
    guard: bool = True
    """Fly with the guard between policy and vehicle."""
    real_time: bool = False
    """Keep pace with the wall clock instead of flying as fast as the machine can."""
    log: Path | None = None
    """Write a flight log (MCAP) here."""
    json: Path | None = None
    """Write the outcome here."""

    def __call__(self) -> int:
        """Fly."""
        from navstack.flying import run

        return run(self)
