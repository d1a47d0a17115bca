"""The camera over HTTP, as small network cameras do it: Motion JPEG, newest frame wins.

Each part of the multipart stream carries `X-Timestamp`, the time of its capture as Unix seconds (the header
that mjpg-streamer and its kin send).
"""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from navstack.contract import Image
from navstack.errors import InputError

QUALITY = 95  # of 100
BOUNDARY = "frame"
LONGEST_WAIT = 5.0  # s without a frame after which a stream is given up


class CameraServer:
    """Serves the newest picture to whoever asks, from threads of its own.

    Raises InputError where the address is taken.
    """

    def __init__(self, host: str, port: int) -> None:
        self._new = threading.Condition()
        self._frame: tuple[int, float, bytes] = (0, 0.0, b"")  # number, Unix time, JPEG
        handler = type("Handler", (_Handler,), {"camera": self})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise InputError(f"the camera cannot be served at {host}:{port}: {error}") from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the stream is."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/camera"

    def show(self, image: Image, unix_time: float) -> None:
        """The newest picture: (H, W, 3) uint8 RGB, and when it was taken."""
        done, data = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        assert done
        with self._new:
            self._frame = (self._frame[0] + 1, unix_time, np.asarray(data).tobytes())
            self._new.notify_all()

    def newest(self, after: int) -> tuple[int, float, bytes] | None:
        """The newest frame with a number above `after`, waiting for it; None where none came in time."""
        deadline = time.monotonic() + LONGEST_WAIT
        with self._new:
            while self._frame[0] <= after:
                left = deadline - time.monotonic()
                if left <= 0.0 or not self._new.wait(left):
                    return None
            return self._frame

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    camera: CameraServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.split("?")[0] not in ("/camera", "/"):
            self.send_error(404, "the stream is at /camera")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        number = 0
        try:
            while (frame := self.camera.newest(number)) is not None:
                number, taken, data = frame
                head = (
                    f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                    f"X-Timestamp: {taken:.6f}\r\n\r\n"
                )
                self.wfile.write(head.encode() + data + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever watched is gone
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
