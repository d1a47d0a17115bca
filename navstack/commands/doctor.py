"""`navstack doctor`: is this machine fit to fly?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Doctor:
    """Check camera, link, clock, policy, disk and speed on this machine, and say what to do about each.

    Nothing is sent to the autopilot but questions. The exit status is 1 where something is not fit.
    """

    policy: str = "fly-to-target"
    """Policy to fly: path or name."""
    camera: str | None = None
    """Camera to look through, as for navstack fly."""
    camera_calibration: Path | None = None
    """The lens, from `navstack camera calibrate`."""
    camera_fov: float | None = None
    """Or its horizontal field of view in degrees."""
    rate: float = 20.0
    """Frames a second that are wanted."""
    autopilot: str | None = None
    """Address of the autopilot, as for navstack fly."""
    velocity: str | None = None
    """Address of the estimator for Betaflight, as for navstack fly."""
    folder: Path = Path()
    """Where flight logs will be written."""
    json: bool = False
    """Print JSON."""

    def __call__(self) -> int:
        """Check."""
        from navstack.doctor import run

        return run(self)
