"""A camera for the benchmark, in its own process: Motion JPEG of 640 x 480 on loopback, at a rate.

Its pictures have JPEG's quality 80, to which mjpg-streamer and ustreamer are set by default; decoding costs
the more the larger they are.

`python -m navstack.bench.camera_server RATE [QUALITY]` prints its port and serves one client until that is
gone.
"""

from __future__ import annotations

import socket
import sys
import time

import numpy as np

from navstack.opencv import cv2

PICTURES = 16  # different ones, in turn
QUALITY = 80  # of JPEG, 0 to 100


def make_pictures(quality: int = QUALITY) -> list[bytes]:
    """JPEGs of large shapes in all colours."""
    rng, jpegs = np.random.default_rng(0), []
    for _ in range(PICTURES):
        coarse = rng.integers(0, 256, (24, 32, 3), np.uint8)
        picture = cv2.resize(coarse, (640, 480))
        jpegs.append(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))[1].tobytes())
    return jpegs


def main() -> int:
    """Serve."""
    period = 1.0 / float(sys.argv[1])
    quality = int(sys.argv[2]) if len(sys.argv) > 2 else QUALITY
    jpegs = make_pictures(quality)
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
    due = time.monotonic()
    try:
        while True:
            for jpeg in jpegs:
                due += period
                time.sleep(max(0.0, due - time.monotonic()))
                head = f"--frame\r\nContent-Length: {len(jpeg)}\r\nX-Timestamp: {time.time():.6f}\r\n\r\n"
                client.sendall(head.encode() + jpeg + b"\r\n")
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
