"""A motion JPEG server on loopback, for tests of whoever reads one."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class MjpegServer:
    """Serves the pictures that `show` gives, or what `raw` says, until closed."""

    def __init__(self, raw: bytes | None = None, stamp: bool = True, clock_error: float = 0.0) -> None:
        self.raw, self.stamp, self.clock_error = raw, stamp, clock_error
        self._new, self._jpeg, self._taken, self._closed = threading.Condition(), b"", 0.0, False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/camera"

    def show(self, rgb: np.ndarray, quality: int = 95) -> None:
        jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        with self._new:
            self._jpeg, self._taken = jpeg[1].tobytes(), time.time()
            self._new.notify_all()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        try:
            if self.raw is not None:
                handler.wfile.write(self.raw)
                return
            while not self._closed:
                with self._new:
                    if not self._new.wait(0.2):
                        continue
                    jpeg, taken = self._jpeg, self._taken + self.clock_error
                stamp = f"X-Timestamp: {taken:.6f}\r\n" if self.stamp else ""
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n{stamp}\r\n"
                handler.wfile.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            pass

    def close(self) -> None:
        self._closed = True
        self._server.shutdown()
        self._server.server_close()
