"""A process of its own that keeps a Betaflight vehicle level and sinking when the loop is dead.

Betaflight 4.5 to 2025.12 holds the last sticks for ever when an overriding companion falls silent. So another
process shares the connection and waits: each turn of the loop writes it the throttle to fall back to, and
when nothing has come for a fifth of a second (killed, stopped, starved) it sends neutral sticks with that
throttle until the loop lives again, or the pilot takes over by the override switch. It imports nothing heavy.

    python -m navstack.autopilot.watchdog CONNECTION_FD BEATS_FD
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
import subprocess
import sys
import time

from navstack.autopilot.msp import CHANNELS, LOW, MIDDLE, encode_channels

LATE = 0.2  # s without a beat
READY = 20.0  # s that its process may take to start
PERIOD = 0.02  # s between frames of the watchdog's own
ALONE = 60.0  # s that it goes on without a loop: by then any vehicle that sinks is down
BEAT = struct.Struct("<HB")  # throttle in us; 1 to watch, 0 to rest


def watch(connection: int, beats: int) -> None:
    """Until the loop says goodbye. A pipe that breaks is a loop that died: then it flies on for a minute."""
    throttle, watching, alive, open_ = LOW, False, time.monotonic(), True
    while open_ or watching:
        ready, _, _ = select.select([beats] if open_ else [], [], [], PERIOD)
        if ready:
            data = os.read(beats, 4096)
            if not data:
                open_ = False
                alive = time.monotonic() - LATE
            elif len(data) >= BEAT.size:
                throttle, flag = BEAT.unpack(data[-BEAT.size :])
                watching, alive = bool(flag), time.monotonic()
            continue
        if not open_ and time.monotonic() - alive > ALONE:
            return
        if watching and time.monotonic() - alive >= LATE:
            try:
                os.write(connection, encode_channels(neutral(throttle)))
            except BlockingIOError:
                pass
            except OSError:
                return  # the connection itself is gone


def neutral(throttle: int) -> tuple[int, ...]:
    """Level sticks with this throttle (us), in the order roll, pitch, throttle, yaw."""
    return (MIDDLE, MIDDLE, throttle, MIDDLE, *((MIDDLE,) * (CHANNELS - 4)))


class Watchdog:
    """The loop's side: `beat` at every turn, and `close` when the vehicle is the pilot's again."""

    def __init__(self, connection: int) -> None:
        reader, self._beats = os.pipe()
        os.set_blocking(self._beats, False)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "navstack.autopilot.watchdog", str(connection), str(reader)],
            pass_fds=(connection, reader), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        os.close(reader)
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], READY)
        if not ready or self._process.stdout.read(1) != b"!":
            self._process.kill()
            raise RuntimeError("the watchdog does not start")

    @property
    def pid(self) -> int:
        """Of the watchdog's process."""
        return self._process.pid

    def beat(self, throttle: int, watching: bool) -> None:
        """The loop lives; fall back to this throttle (us) when it does not."""
        # A pipe that is full is read by nobody, which `alive` finds out.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._beats, BEAT.pack(throttle, watching))

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def abandon(self) -> None:
        """Leave the vehicle to it: the loop ends in flight."""
        os.close(self._beats)

    def close(self) -> None:
        """Send it to rest."""
        self.beat(LOW, False)
        os.close(self._beats)
        try:
            self._process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


if __name__ == "__main__":
    sys.stdout.write("!")
    sys.stdout.flush()
    watch(int(sys.argv[1]), int(sys.argv[2]))
