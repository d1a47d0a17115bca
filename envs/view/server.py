"""Rerun's server and web viewer as a process of their own, bound to loopback.

The Python package's own server listens on every address of the machine; only the program takes an address.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self
from urllib.parse import quote

from navstack.errors import InputError

HOST = "127.0.0.1"
PATIENCE = 60.0  # s until it has to answer; a busy machine takes a while to start it


class Server:
    """Serves a page on `port`, and takes a flight's data on the port after it.

    Raises InputError where a port is taken or the program does not come up.
    """

    def __init__(self, port: int) -> None:
        for number in (port, port + 1):
            _check_free(number)
        self.data = f"rerun+http://{HOST}:{port + 1}/proxy"
        self.page = f"http://{HOST}:{port}/?url={quote(self.data, safe='')}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rerun", "--serve-web", "--bind", HOST, "--port", str(port + 1),
             "--web-viewer-port", str(port), "--server-memory-limit", "1GB", "--hide-welcome-screen"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not all(_answers(number) for number in (port, port + 1)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                assert self._process.stderr
                said = self._process.stderr.read().strip().splitlines() or ["it said nothing"]
                raise InputError(f"Rerun's web viewer did not start on port {port} ({said[-1][:200]})")
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise InputError(f"port {port} cannot be used ({error}); give another one with --port") from error


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True
