"""`navstack camera calibrate`: a lens from views of a chessboard, by OpenCV."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from navstack.camera.geometry import Calibration
from navstack.camera.sources import kind_of, open_source
from navstack.commands.camera import Calibrate
from navstack.contract import Image
from navstack.errors import InputError
from navstack.files import check_new_file
from navstack.opencv import cv2

LEAST_VIEWS = 6
BETWEEN = 20  # pictures of a live camera between two views, so that the board has moved
LONGEST = 3000  # pictures to look at
LARGEST_ERROR = 1.0  # pixels: a calibration that is worse is none

Corners = npt.NDArray[np.float32]  # (rows * columns, 1, 2) pixels


def find_corners(bgr: Image, columns: int, rows: int) -> Corners | None:
    """The inner corners of a chessboard in a (H, W, 3) picture to a fraction of a pixel; None without one."""
    gray = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
    found, corners = cv2.findChessboardCorners(gray, (columns, rows), flags=flags)
    if not found:
        return None
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.01)
    return np.asarray(cv2.cornerSubPix(gray, corners, (5, 5), (-1, -1), stop), np.float32)


def calibrate(views: list[Corners], columns: int, rows: int, width: int, height: int) -> Calibration:
    """The lens that explains the views best. Raises InputError where they do not determine one.

    After Z. Zhang, A flexible new technique for camera calibration, 2000, as `cv2.calibrateCamera` has it;
    the side of a square does not matter for the lens.
    """
    if len(views) < LEAST_VIEWS:
        raise InputError(f"the board was seen in {len(views)} pictures; at least {LEAST_VIEWS} are needed")
    board = np.zeros((rows * columns, 3), np.float32)
    board[:, :2] = np.mgrid[0:columns, 0:rows].T.reshape(-1, 2)
    error, matrix, distortion, _, _ = cv2.calibrateCamera(
        [board] * len(views),
        views,
        (width, height),
        None,
        None,
    )
    values = (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])
    if not (np.isfinite(error) and error <= LARGEST_ERROR):
        raise InputError(
            f"the views do not agree on a lens (error {error:.2f} pixels, wanted at most {LARGEST_ERROR:g}):"
            " hold the board flat and still, in more places and tilts"
        )
    return Calibration(
        width, height, tuple(float(value) for value in values),  # type: ignore[arg-type]
        tuple(float(value) for value in distortion.ravel()[:5]), float(error), len(views),
    )  # fmt: skip


def _pictures(camera: str) -> Iterator[Image]:
    source = open_source(camera, 240.0)
    with contextlib.closing(source):
        for _ in range(LONGEST):
            picture = source.read()
            if picture is None:
                return
            yield picture.bgr


def run(arguments: Calibrate) -> int:
    """Look until there are views enough, find the lens, write it. Raises InputError where that fails."""
    check_new_file(arguments.out)
    if arguments.columns < 3 or arguments.rows < 3:
        raise InputError("a chessboard has at least 3 inner corners in a row and in a column")
    every = 1 if kind_of(arguments.camera) == "folder" else BETWEEN
    views: list[Corners] = []
    size, looked = (0, 0), 0
    for looked, bgr in enumerate(_pictures(arguments.camera), 1):
        if looked % every and every > 1:
            continue
        if views and bgr.shape[:2] != size:
            raise InputError("the camera's pictures change their size; one calibration is for one size")
        size = bgr.shape[:2]
        corners = find_corners(bgr, arguments.columns, arguments.rows)
        if corners is not None:
            views.append(corners)
            print(f"view {len(views)} of {arguments.views}", flush=True)
        if len(views) == arguments.views:
            break
    if not looked:
        raise InputError(f"camera {arguments.camera}: gives no picture")
    lens = calibrate(views, arguments.columns, arguments.rows, size[1], size[0])
    lens.save(Path(arguments.out))
    fov = 2.0 * np.degrees(np.arctan(0.5 * lens.width / lens.matrix[0]))
    print(
        f"{arguments.out}: {lens.width} x {lens.height}, about {fov:.0f} degrees wide, error"
        f" {lens.error:.2f} pixels"
    )
    return 0
