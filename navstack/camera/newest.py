"""The newest frame of a camera, made into what the policy was trained on."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from navstack.camera.geometry import Rectifier, lens_for
from navstack.camera.sources import Picture, Source, open_source
from navstack.contract import CameraSpec, Frame, Image
from navstack.errors import InputError


class NewestFrame:
    """A camera as `navstack.flight.FrameSource`: one thread reads and decodes, and only the newest counts.

    The thread spends its time in OpenCV and in the kernel, which let go of the interpreter's lock; it must
    not do anything long in Python. A camera that ended is silence: the guard is who answers it.
    """

    def __init__(self, source: Source, rectifier: Rectifier, latency: float = 0.0) -> None:
        self.source, self._rectifier, self._latency = source, rectifier, latency
        self.received = self.skipped = 0  # pictures; those that a newer one replaced before it was shown
        self.picture: Image | None = None  # (H, W, 3) BGR, the newest as the camera gave it
        self.ended: str | None = None  # why nothing comes any more
        self._condition = threading.Condition()
        self._frame: Frame | None = None
        self._before: Image | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    @property
    def timing(self) -> str:
        """Where capture times come from, for the log."""
        if self.source.stamps:
            return "capture times are the source's own"
        return f"capture times are arrival less the declared latency of {1e3 * self._latency:g} ms"

    def wait(self, deadline: float) -> Frame | None:
        """The newest frame not yet returned, waiting until `deadline` on the monotonic clock."""
        with self._condition:
            while self._frame is None and self.ended is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0.0:
                    return None
                self._condition.wait(remaining)
            frame, self._frame = self._frame, None
        if frame is None:  # ended: the loop keeps its pace
            time.sleep(max(0.0, deadline - time.monotonic()))
        return frame

    def _run(self) -> None:
        try:
            while not self._stop:
                picture = self.source.read()
                if picture is None:
                    self._end(f"camera {self.source.name} has ended or does not answer")
                    return
                self._take(picture, time.monotonic())
        except Exception as error:  # whatever it is, the loop must hear that the camera is gone
            self._end(str(error) or type(error).__name__)

    def _take(self, picture: Picture, arrived: float) -> None:
        captured = arrived - self._latency if picture.captured is None else picture.captured
        repeated = picture.repeated
        if repeated is None:
            repeated = self._before is not None and _identical(self._before, picture.bgr)
            self._before = picture.bgr
        frame = Frame(self._rectifier(picture.bgr), captured, repeated)
        with self._condition:
            self.received += 1
            self.skipped += self._frame is not None
            self._frame, self.picture = frame, picture.bgr
            self._condition.notify()

    def _end(self, why: str) -> None:
        with self._condition:
            self.ended = why
            self._condition.notify()

    def close(self) -> None:
        """Stop reading and let go of the camera."""
        self._stop = True
        self.source.close()
        self._thread.join(3.0)


def _identical(first: Image, second: Image) -> bool:
    """Bit by bit; a sample of rows settles it for pictures that differ."""
    return (
        first.shape == second.shape
        and np.array_equal(first[::61], second[::61])
        and np.array_equal(first, second)
    )


def open_camera(
    name: str, rate_hz: float, wanted: CameraSpec, calibration: Path | None, horizontal_fov: float | None,
    latency: float = 0.0,
) -> NewestFrame:  # fmt: skip
    """Open a camera and make its pictures what a policy wants.

    The lens comes from a calibration file or from its horizontal field of view (rad), `latency` (s) is the
    declared one. Raises InputError where the camera gives no picture or cannot provide the view.
    """
    source = open_source(name, rate_hz)
    try:
        first = source.read()
        if first is None:
            raise InputError(f"camera {name}: gives no picture")
        height, width = first.bgr.shape[:2]
        lens = lens_for(width, height, calibration, horizontal_fov)
        Rectifier(lens, wanted)(first.bgr)
        if source.reduces:
            source.reduction = lens.reduction_for(wanted)
            lens = lens.reduced(source.reduction)
        return NewestFrame(source, Rectifier(lens, wanted), latency)
    except BaseException:
        source.close()
        raise
