"""From the lens that there is to the pinhole camera that the policy was trained with.

A calibration holds OpenCV's camera matrix and distortion coefficients (the five of its standard model). The
rectifier undistorts and crops to the card's field of view in one remapping, and averages down to the card's
size.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from navstack.contract import CameraSpec, Image
from navstack.errors import InputError
from navstack.files import write_atomically
from navstack.opencv import cv2

FORMAT = 1
FINER = 1.5  # times the wanted resolution that a picture should have before it is averaged down
SLACK = 0.5  # pixels by which the wanted view may pass the picture's edge


@dataclass(frozen=True, slots=True)
class Calibration:
    """A lens: what `navstack camera calibrate` finds."""

    width: int  # pixels
    height: int
    matrix: tuple[float, float, float, float]  # fx, fy, cx, cy in pixels
    distortion: tuple[float, ...]  # k1, k2, p1, p2, k3 of OpenCV's model
    error: float = 0.0  # pixels, root mean square of reprojection
    views: int = 0  # pictures of the board that it was found from
    format: int = FORMAT

    @classmethod
    def pinhole(cls, width: int, height: int, horizontal_fov: float) -> Calibration:
        """A lens without distortion, with square pixels and this horizontal field of view in radians."""
        f = 0.5 * width / math.tan(0.5 * horizontal_fov)
        return cls(width, height, (f, f, 0.5 * (width - 1), 0.5 * (height - 1)), (0.0,) * 5)

    def reduced(self, by: int) -> Calibration:
        """The same lens for pictures that are so many times smaller."""
        fx, fy, cx, cy = self.matrix
        matrix = (fx / by, fy / by, (cx + 0.5) / by - 0.5, (cy + 0.5) / by - 0.5)
        return replace(self, width=self.width // by, height=self.height // by, matrix=matrix)

    def reduction_for(self, wanted: CameraSpec) -> int:
        """How many times smaller pictures may be decoded and still be finer than what is wanted."""
        sizes = (by for by in (4, 2) if self.width % by == self.height % by == 0)
        return next((by for by in sizes if self.matrix[0] / by >= FINER * _focal(wanted)), 1)

    @property
    def camera_matrix(self) -> npt.NDArray[np.float64]:
        """(3, 3)."""
        fx, fy, cx, cy = self.matrix
        return np.array(((fx, 0.0, cx), (0.0, fy, cy), (0.0, 0.0, 1.0)))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_atomically(path, (json.dumps(asdict(self), indent=1) + "\n").encode())


def load_calibration(path: Path) -> Calibration:
    """The calibration in a file. Raises InputError that names what is wrong with it."""
    try:
        values: Any = json.loads(path.read_bytes()[: 1 << 20])
        found = Calibration(
            **{**values, "matrix": tuple(values["matrix"]), "distortion": tuple(values["distortion"])}
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path}: not a camera calibration ({error}); navstack camera calibrate writes one"
        ) from error
    numbers = (found.width, found.height, *found.matrix, *found.distortion)
    fits = len(found.matrix) == 4 and len(found.distortion) == 5 and found.format == FORMAT
    sound = fits and all(
        isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers
    )
    if not sound or not (
        0 < found.width <= 16384 and 0 < found.height <= 16384 and min(found.matrix[:2]) > 0.0
    ):
        raise InputError(
            f"{path}: a calibration of format {FORMAT} holds width, height, matrix (fx, fy, cx, cy) and"
            " distortion (k1, k2, p1, p2, k3), finite and in pixels"
        )
    return found


class Rectifier:
    """Turns pictures of one lens, (H, W, 3) BGR, into what a policy expects, (h, w, 3) RGB.

    Raises InputError where the lens does not see all of the field of view that is wanted.
    """

    def __init__(self, calibration: Calibration, wanted: CameraSpec) -> None:
        self.calibration, self.wanted = calibration, wanted
        self._size = (wanted.width, wanted.height)
        same_view = math.isclose(
            calibration.matrix[0] / calibration.width, _focal(wanted) / wanted.width, rel_tol=1e-3
        )
        plain = not any(calibration.distortion) and (calibration.width, calibration.height) == self._size
        self._maps = None if plain and same_view else self._remapping()
        self._straight: Any = None  # what is averaged down, used again for every picture

    def _remapping(self) -> tuple[Any, Any]:
        """Where each pixel of a magnified target comes from: averaging down afterwards avoids aliasing."""
        lens, wanted = self.calibration, self.wanted
        scale = max(1, math.ceil(lens.matrix[0] / _focal(wanted)))
        width, height = scale * wanted.width, scale * wanted.height
        f = scale * _focal(wanted)
        target = np.array(((f, 0.0, 0.5 * (width - 1)), (0.0, f, 0.5 * (height - 1)), (0.0, 0.0, 1.0)))
        distortion = np.array(lens.distortion)
        u, v = cv2.initUndistortRectifyMap(
            lens.camera_matrix, distortion, np.eye(3), target, (width, height), cv2.CV_32FC1
        )
        outside = max(-u.min(), -v.min(), u.max() - (lens.width - 1), v.max() - (lens.height - 1))
        if not outside <= SLACK:
            have, want = (
                math.degrees(2.0 * math.atan(0.5 * lens.width / lens.matrix[0])),
                math.degrees(wanted.horizontal_fov),
            )
            raise InputError(
                f"the policy needs {want:.0f} x {math.degrees(wanted.vertical_fov):.0f} degrees of view"
                f" without gaps; this camera ({lens.width} x {lens.height}, about {have:.0f} degrees wide)"
                f" lacks {outside:.0f} pixels of it: use a wider lens or another mode of the camera"
            )
        return cv2.convertMaps(u, v, cv2.CV_16SC2)

    def __call__(self, bgr: Image) -> Image:
        """The policy's picture. Raises InputError for a picture of another size than the calibration's."""
        lens = self.calibration
        if bgr.shape != (lens.height, lens.width, 3):
            raise InputError(
                f"the camera gives {bgr.shape[1]} x {bgr.shape[0]} pictures; its calibration is for"
                f" {lens.width} x {lens.height}"
            )
        if self._maps is None:
            return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        self._straight = cv2.remap(
            bgr, *self._maps, cv2.INTER_LINEAR, dst=self._straight, borderMode=cv2.BORDER_REPLICATE
        )
        small = cv2.resize(self._straight, self._size, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)


def _focal(camera: CameraSpec) -> float:
    return 0.5 * camera.width / math.tan(0.5 * camera.horizontal_fov)


def lens_for(width: int, height: int, calibration: Path | None, horizontal_fov: float | None) -> Calibration:
    """The lens of a camera that gives pictures of this size.

    It is known from a calibration file, or declared by its horizontal field of view in radians. Raises
    InputError where neither is given, or both are.
    """
    if (calibration is None) == (horizontal_fov is None):
        raise InputError(
            "the camera's lens must be known: give either a calibration file (navstack camera calibrate"
            " writes it) or the field of view of a lens without distortion"
        )
    if calibration is not None:
        return load_calibration(calibration)
    assert horizontal_fov is not None
    if not 0.1 < horizontal_fov < 2.8:
        raise InputError(f"a field of view of {math.degrees(horizontal_fov):.1f} degrees; expected 6 to 160")
    return Calibration.pinhole(width, height, horizontal_fov)
