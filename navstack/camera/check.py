"""`navstack camera check`: the camera's picture beside what the policy gets and what it was trained on."""

from __future__ import annotations

import contextlib
import math
import time
from importlib import resources

import numpy as np

from navstack.camera.newest import open_camera
from navstack.commands.camera import Check
from navstack.contract import Image
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.opencv import cv2
from navstack.policy import read_policy

HEIGHT = 384  # pixels of each picture on the sheet
SETTLE = 1.0  # s for exposure and white balance
BAR = 28  # pixels for the words above each
TRAINED = "trained_on.png"


def sheet(titled: list[tuple[str, Image]]) -> Image:
    """RGB pictures in a row, each enlarged to HEIGHT and named; (HEIGHT + BAR, W, 3)."""
    columns = []
    for title, picture in titled:
        width = round(picture.shape[1] * HEIGHT / picture.shape[0])
        large = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_NEAREST)
        bar = np.full((BAR, width, 3), 24, np.uint8)
        cv2.putText(bar, title, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
        columns.append(np.concatenate((bar, np.asarray(large, np.uint8))))
    return np.concatenate(columns, axis=1)


def trained_on() -> Image:
    """Frames of the training worlds as the camera of the simulation takes them, (H, W, 3) RGB."""
    data = (resources.files("navstack.camera") / TRAINED).read_bytes()
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def run(arguments: Check) -> int:
    """Write the picture. Raises InputError where the camera cannot provide what the policy needs."""
    check_new_file(arguments.out)
    wanted = read_policy(arguments.policy).card.camera
    fov = None if arguments.camera_fov is None else math.radians(arguments.camera_fov)
    camera = open_camera(arguments.camera, 20.0, wanted, arguments.camera_calibration, fov)
    frame, raw = None, None
    with contextlib.closing(camera):
        end = time.monotonic() + SETTLE
        while time.monotonic() < end:
            frame = camera.wait(time.monotonic() + 0.1) or frame
            raw = camera.picture
    if frame is None or raw is None:
        raise InputError(f"camera {arguments.camera}: gives no picture")
    picture = sheet(
        [
            ("camera", np.asarray(cv2.cvtColor(raw, cv2.COLOR_BGR2RGB), np.uint8)),
            ("what the policy gets", frame.image),
            ("trained on, for instance", trained_on()),
        ]
    )
    encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()
    write_atomically(arguments.out, encoded)
    print(f"{arguments.out}: look at it: upright, same colours, as wide, as sharp; {camera.timing}")
    return 0
