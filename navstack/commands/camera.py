"""`navstack camera`: find the lens, compare with what the policy was trained on, measure the latency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Calibrate:
    """Find the lens from pictures of a chessboard, and write it to a file.

    Hold a printed chessboard still in many places and tilts, near and far, up to the corners of the picture;
    a view is taken every second or so where the whole board is seen. With a folder of images they are used.
    """

    camera: str
    """Device, stream, video file or folder of images."""
    out: Path = Path("camera.json")
    """The calibration file to write; it must be new."""
    columns: int = 9
    """Inner corners of the board in a row."""
    rows: int = 6
    """Inner corners of the board in a column."""
    views: int = 20
    """Views of the board to take."""

    def __call__(self) -> int:
        """Calibrate."""
        from navstack.camera.calibrate import run

        return run(self)


@dataclass(frozen=True)
class Check:
    """Write a picture: the camera as it is, as the policy gets it, and what the policy was trained on.

    Colours, direction, field of view and sharpness should be alike. A camera that cannot provide the policy's
    field of view is refused.
    """

    policy: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="POLICY")]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    camera: str = "0"
    """Device, stream, video file or folder of images."""
    camera_calibration: Path | None = None
    """The lens, from `navstack camera calibrate`."""
    camera_fov: float | None = None
    """Or its horizontal field of view in degrees."""
    out: Path = Path("camera-check.png")
    """The picture to write; it must be new."""

    def __call__(self) -> int:
        """Check."""
        from navstack.camera.check import run

        return run(self)


@dataclass(frozen=True)
class Latency:
    """Measure the time from an event until its picture is here, with the screen that the camera films.

    The terminal fills with black and white in turn, at random intervals; the camera looks at it, near enough
    that it fills the picture. What is measured holds half a refresh of the screen and of the terminal, about
    10 to 20 ms, which a photodiode would not.
    """

    camera: str = "0"
    """Device or stream."""
    flashes: int = 20
    """Changes to measure."""
    seed: int = 0
    """Seed of the intervals."""

    def __call__(self) -> int:
        """Measure."""
        from navstack.camera.latency import run

        return run(self)


@dataclass(frozen=True)
class Camera:
    """Find a camera's lens, compare its picture with the policy's, measure its latency."""

    do: tyro.conf.OmitArgPrefixes[
        Annotated[Calibrate, tyro.conf.subcommand("calibrate", prefix_name=False)]
        | Annotated[Check, tyro.conf.subcommand("check", prefix_name=False)]
        | Annotated[Latency, tyro.conf.subcommand("latency", prefix_name=False)]
    ]
    """What to do."""

    def __call__(self) -> int:
        """Do it."""
        return self.do()
