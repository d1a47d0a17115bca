"""`navstack camera`: a lens from a chessboard, a sheet to look at, a latency that is known."""

import math
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from navstack.camera import Calibration, load_calibration
from navstack.camera.calibrate import calibrate, find_corners
from navstack.camera.latency import measure, report
from navstack.camera.sources import Picture
from navstack.errors import InputError

LENS = Calibration(640, 480, (420.0, 418.0, 322.0, 236.0), (-0.18, 0.04, 0.0, 0.0, 0.0))
COLUMNS, ROWS, SQUARE = 9, 6, 0.03


def navstack(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "navstack", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


def board_view(rotation, translation, scale=2):
    """What the lens sees of a chessboard: drawn large, each pixel asked where on the board it looks."""
    columns, rows = ((np.arange(size * scale) + 0.5) / scale - 0.5 for size in (640, 480))
    grid = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 1, 2)
    rays = cv2.undistortPoints(grid, LENS.camera_matrix, np.array(LENS.distortion)).reshape(-1, 2)
    turn, _ = cv2.Rodrigues(np.array(rotation))
    normal, origin = turn[:, 2], np.array(translation)
    directions = np.column_stack((rays, np.ones(len(rays))))
    hits = directions * ((origin @ normal) / (directions @ normal))[:, None] - origin
    x, y = hits @ turn[:, 0] / SQUARE, hits @ turn[:, 1] / SQUARE
    on_board = (x > -1) & (x < COLUMNS) & (y > -1) & (y < ROWS)
    dark = (np.floor(x) + np.floor(y)) % 2 == 0
    gray = np.where(on_board & dark, 20, 235).astype(np.uint8).reshape(480 * scale, 640 * scale)
    return cv2.cvtColor(cv2.resize(gray, (640, 480), interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)


VIEWS = [
    ((0.4, 0.0, 0.0), (-0.12, -0.08, 0.45)), ((-0.4, 0.2, 0.1), (-0.16, -0.05, 0.42)),
    ((0.0, 0.5, 0.0), (-0.05, -0.1, 0.5)), ((0.0, -0.5, 0.2), (-0.12, -0.02, 0.45)),
    ((0.3, 0.3, -0.2), (-0.18, -0.1, 0.5)), ((-0.3, -0.3, 0.0), (-0.02, -0.1, 0.4)),
    ((0.1, 0.1, 0.5), (-0.08, -0.12, 0.4)), ((0.2, -0.4, 0.0), (-0.14, 0.0, 0.45)),
]  # fmt: skip


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("boards")
    for index, view in enumerate(VIEWS):
        cv2.imwrite(str(folder / f"{index}.png"), board_view(*view))
    return folder


def test_the_lens_that_took_the_pictures_is_found(boards, tmp_path):
    out = tmp_path / "camera.json"
    done = navstack("camera", "calibrate", "--camera", boards, "--out", out)
    assert done.returncode == 0, done.stderr
    found = load_calibration(out)
    assert found.views >= 6
    assert found.error < 0.5
    assert np.allclose(found.matrix, LENS.matrix, atol=6.0)
    seen = [_projected(lens) for lens in (LENS, found)]
    assert np.abs(seen[0] - seen[1]).max() < 1.0  # pixels
    again = navstack("camera", "calibrate", "--camera", boards, "--out", out)
    assert "exists" in again.stderr


def _projected(lens):
    """Where a point off the middle of the view is seen, in pixels."""
    point, still = np.array([[[-0.4, 0.25, 1.0]]]), np.zeros(3)
    return cv2.projectPoints(point, still, still, lens.camera_matrix, np.array(lens.distortion))[0].ravel()


def test_too_few_views_and_no_board_are_said(boards):
    assert find_corners(np.zeros((480, 640, 3), np.uint8), COLUMNS, ROWS) is None
    corners = find_corners(cv2.imread(str(boards / "0.png")), COLUMNS, ROWS)
    with pytest.raises(InputError, match="at least 6"):
        calibrate([corners] * 3, COLUMNS, ROWS, 640, 480)


def test_the_sheet_shows_camera_policys_picture_and_training(boards, tmp_path):
    out = tmp_path / "check.png"
    arguments = ("camera", "check", "fly-to-target", "--camera", boards, "--out", out)
    done = navstack(*arguments, "--camera-fov", "84")
    assert done.returncode == 0, done.stderr
    assert cv2.imread(str(out)).shape[0] > 400
    assert "lacks" in navstack(*arguments[:-1], tmp_path / "b.png", "--camera-fov", "60").stderr


class Screen:
    """A screen and the camera that films it, a known time later, at 100 pictures a second."""

    def __init__(self, latency, stamps):
        self.latency, self.stamps, self.shown = latency, stamps, [(0.0, False)]

    def show(self, white):
        self.shown.append((time.monotonic(), white))

    def read(self):
        time.sleep(0.01)
        taken = time.monotonic() - self.latency
        white = [white for when, white in self.shown if when <= taken][-1]
        return Picture(np.full((8, 8, 3), 200 if white else 20, np.uint8), taken if self.stamps else None)


def test_the_latency_is_found(monkeypatch):
    monkeypatch.setattr("navstack.camera.latency.SHORTEST", 0.2)
    monkeypatch.setattr("navstack.camera.latency.LONGEST", 0.3)
    screen = Screen(0.08, stamps=True)
    found = measure(screen.read, screen.show, 6, np.random.default_rng(0))
    assert 0.08 <= np.median(found.arrival) < 0.14
    assert 0.0 <= np.median(found.capture) < 0.06
    assert "declare --camera-latency 0." in report(found)


def test_a_camera_that_looks_elsewhere_is_said():
    with pytest.raises(InputError, match="does not see the screen"):
        measure(
            lambda: Picture(np.zeros((8, 8, 3), np.uint8), None),
            lambda white: None,
            3,
            np.random.default_rng(0),
        )


def test_without_a_terminal_nothing_is_filmed():
    done = navstack("camera", "latency")
    assert done.returncode == 2
    assert "terminal" in done.stderr


def test_an_angle_is_an_angle():
    assert math.isclose(Calibration.pinhole(96, 64, math.radians(90.0)).matrix[0], 48.0)
