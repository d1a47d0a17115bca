"""Where pictures come from: a device, a network stream, a video file, a folder of images.

Every source reads one picture at a time and says when it was taken, where it knows: a V4L2 device stamps its
buffers with the monotonic clock, an MJPEG server may send `X-Timestamp` (Unix time) with each picture. All
times here are on the monotonic clock, `time.monotonic`, which no correction of the wall clock moves.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from navstack.contract import Image
from navstack.errors import InputError
from navstack.opencv import cv2

LARGEST_JPEG = 16 << 20  # bytes
TIMEOUT = 2.0  # s without a byte, after which a stream is taken for lost
OLDEST = 2.0  # s: a capture time further back, or ahead, comes from a clock that is not ours
REDUCTIONS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
IMAGE_TYPES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as it came, at the camera's own resolution."""

    bgr: Image  # (H, W, 3) uint8, OpenCV's colour order
    captured: float | None  # s on the monotonic clock; None where the source does not say
    repeated: bool | None = None  # bit-identical to the one before; None where the source has not compared


class Source(Protocol):
    """One camera, opened. Reading may block for as long as TIMEOUT."""

    name: str
    reduces: bool  # whether it can decode smaller pictures at less cost
    reduction: int  # by which it does: 1, 2 or 4
    stamps: bool  # whether the source says when a picture was taken

    def read(self) -> Picture | None:
        """The next picture; None where the source has ended or is broken."""
        ...

    def close(self) -> None:
        """Let go of the camera; a `read` that is under way ends soon after."""
        ...


class Device:
    """A V4L2 (or CSI, through V4L2) device by number or path."""

    stamps, reduces, reduction = True, False, 1

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        number = int(name) if name.isdigit() else name
        self._capture = cv2.VideoCapture(number, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
            raise InputError(
                f"camera {name}: the device cannot be opened; devices there are: {there} (v4l2-ctl"
                " --list-devices tells more; the user must be in the group 'video')"
            )
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture.set(cv2.CAP_PROP_FPS, rate_hz)

    def read(self) -> Picture | None:
        """The driver's stamp of the buffer is the time at which the picture was taken."""
        there, bgr = self._capture.read()
        if not there:
            return None
        stamp = 1e-3 * self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return Picture(np.asarray(bgr, np.uint8), stamp if abs(time.monotonic() - stamp) < OLDEST else None)

    def close(self) -> None:
        """Close the device."""
        self._capture.release()


class VideoStream:
    """An RTSP stream, through OpenCV's FFmpeg, without its buffers."""

    stamps, reduces, reduction = False, False, 1

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        os.environ.setdefault(
            "OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
        )
        milliseconds = round(1e3 * TIMEOUT)
        self._capture = cv2.VideoCapture(
            name, cv2.CAP_FFMPEG,
            [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 5 * milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds],
        )  # fmt: skip
        if not self._capture.isOpened():
            raise InputError(f"camera {name}: no stream there that OpenCV can read")

    def read(self) -> Picture | None:
        """Streams carry no time that could be compared with ours."""
        there, bgr = self._capture.read()
        return Picture(np.asarray(bgr, np.uint8), None) if there else None

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()


def capture_time(stamp: float, wall: float, monotonic: float) -> float | None:
    """A capture time told in Unix time, on the monotonic clock, given both clocks now (s).

    None where the other's clock is not ours: nobody takes a picture ahead of time, or minutes before.
    """
    captured = monotonic - (wall - stamp)
    return captured if abs(wall - stamp) <= OLDEST else None


class MjpegStream:
    """Motion JPEG over HTTP: the pictures that have arrived are skipped but for the newest.

    Read here and not by FFmpeg, which buffers, loses `X-Timestamp` and blocks for half a minute on a server
    that is silent.
    """

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name, self.stamps, self.reduces, self.reduction = name, False, True, 1
        self._before = b""
        parts = urllib.parse.urlsplit(name)
        try:
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
            path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
            self._connection.request("GET", path)
            self._response = self._connection.getresponse()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise InputError(f"camera {name}: no answer ({error or type(error).__name__})") from error
        kind = self._response.headers.get("Content-Type", "")
        if self._response.status != 200 or "multipart/" not in kind:
            raise InputError(
                f"camera {name}: answered {self._response.status} with '{kind[:60]}'; expected motion JPEG"
                " (multipart/x-mixed-replace)"
            )
        self._parts = self._read_parts()

    def read(self) -> Picture | None:
        """The next picture that can be decoded."""
        for stamp, jpeg in self._parts:
            bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), REDUCTIONS[self.reduction])
            repeated, self._before = jpeg == self._before, jpeg
            if bgr is None:
                continue  # damaged on the way: the next one comes soon
            captured = None if stamp is None else capture_time(stamp, time.time(), time.monotonic())
            self.stamps = captured is not None
            return Picture(np.asarray(bgr, np.uint8), captured, repeated)
        return None

    def _read_parts(self) -> Iterator[tuple[float | None, bytes]]:
        response = self._response
        try:
            while True:
                length, stamp = None, None
                line = response.readline(1000)
                if not line:
                    return
                while line.strip():  # a part's headers end with an empty line
                    key, _, value = line.decode("latin-1").partition(":")
                    if key.strip().lower() == "content-length":
                        length = int(value)
                    elif key.strip().lower() == "x-timestamp":
                        stamp = float(value)
                    line = response.readline(1000)
                    if not line:
                        return
                if length is None:
                    continue  # the empty line before a boundary
                if not 0 < length <= LARGEST_JPEG:
                    return
                jpeg = response.read(length)
                if len(jpeg) < length:
                    return
                yield stamp, jpeg
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # broken, or closed by us: AttributeError is what a closed response raises

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            sock = self._connection.sock
            if sock is not None:
                sock.shutdown(2)
        self._connection.close()


class VideoFile:
    """A video file at its own pace, once."""

    stamps, reduces, reduction = True, False, 1

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        self._capture = cv2.VideoCapture(name)
        if not self._capture.isOpened():
            raise InputError(f"camera {name}: not a video that OpenCV can read")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._pace = Pace(rate if 1.0 <= rate <= 240.0 else rate_hz)

    def read(self) -> Picture | None:
        """The next frame, when its time has come."""
        there, bgr = self._capture.read()
        return Picture(np.asarray(bgr, np.uint8), self._pace.wait()) if there else None

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class Folder:
    """A folder of images in the order of their names, once, at the rate given."""

    stamps, reduces, reduction = True, False, 1

    def __init__(self, name: str, rate_hz: float) -> None:
        self.name = name
        key = re.compile(r"(\d+)")
        self._paths = sorted(
            (path for path in Path(name).iterdir() if path.suffix.lower() in IMAGE_TYPES),
            key=lambda path: [int(part) if part.isdigit() else part for part in key.split(path.name)],
        )
        if not self._paths:
            raise InputError(f"camera {name}: no images in the folder ({', '.join(IMAGE_TYPES)})")
        self._pace, self._index = Pace(rate_hz), 0

    def read(self) -> Picture | None:
        """The next image. Raises InputError for one that cannot be read."""
        if self._index == len(self._paths):
            return None
        path = self._paths[self._index]
        self._index += 1
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise InputError(f"{path}: not an image that OpenCV can read")
        return Picture(np.asarray(bgr, np.uint8), self._pace.wait())

    def close(self) -> None:
        """Nothing is held."""


class Pace:
    """Even intervals on the monotonic clock."""

    def __init__(self, rate_hz: float) -> None:
        self._period, self._due = 1.0 / rate_hz, time.monotonic()

    def wait(self) -> float:
        """Sleep until the next instant is due, and return it."""
        self._due += self._period
        ahead = self._due - time.monotonic()
        if ahead > 0.0:
            time.sleep(ahead)
        else:
            self._due -= ahead  # late: what was missed is not made up for
        return self._due


SOURCES: dict[str, Callable[[str, float], Source]] = {
    "device": Device, "rtsp": VideoStream, "mjpeg": MjpegStream, "video": VideoFile, "folder": Folder,
}  # fmt: skip
"""What can be opened, by kind."""


def kind_of(camera: str) -> str:
    """The kind of source that a name means. Raises InputError for one that means none."""
    scheme = camera.partition("://")[0] if "://" in camera else ""
    if scheme in ("rtsp", "rtsps"):
        return "rtsp"
    if scheme == "http":
        return "mjpeg"
    if scheme:
        raise InputError(f"camera {camera}: '{scheme}' is no kind of stream; there are rtsp and http (MJPEG)")
    if camera.isdigit() or camera.startswith("/dev/"):
        return "device"
    path = Path(camera)
    if path.is_dir():
        return "folder"
    if path.is_file():
        return "video"
    raise InputError(
        f"camera {camera}: neither a device (0, /dev/video0), nor a stream (rtsp://, http://), nor a file or"
        " a folder"
    )


def open_source(camera: str, rate_hz: float = 20.0) -> Source:
    """Open a camera by number, path or address. Raises InputError that says what is wrong with it."""
    return SOURCES[kind_of(camera)](camera, rate_hz)
