"""A flight on the wall clock: `navstack fly` and its watchers as processes, and the vehicle that they fly.

The vehicle (world, emulated autopilot, camera over HTTP) turns in this process and is held to real time; what
is tried runs in processes of its own and is broken from outside. A third process does nothing but sleep and
tell how late it woke: where it was late, the machine was too busy for a verdict.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from navstack.autopilot.link import Firmware
from navstack.autopilot.transport import Transport, open_transport
from navstack.contract import Vector3
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, SitlBody
from navstack.envs.sitl.autopilot import STEP
from navstack.envs.sitl.camera import CameraServer
from navstack.envs.sitl.run import BEHIND

POLICY = "fly-to-target"
TIMER = """
import sys, time
print("ready", flush=True)
while True:
    due = time.monotonic() + 0.01
    time.sleep(0.01)
    late = time.monotonic() - due
    if late > 0.02:
        print(time.monotonic(), late, flush=True)
"""
ENGAGED = "policy and guard begin anew"


class Station:
    """One flight. `turn` it until it is over; `close` it, whatever happened."""

    def __init__(
        self, environment: NavigationEnv, seed: int, firmware: Firmware, folder: Path, fence: float,
        ceiling: float, options: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.log = folder / "log" / "flight.mcap"
        self.log.parent.mkdir()
        self.body = SitlBody(environment, seed)
        link, rival = _free_port(), _free_port()
        self.rival: Transport = open_transport(f"udpout:127.0.0.1:{rival}")  # another ground station's end
        transports = [open_transport(f"udpout:127.0.0.1:{link}"), open_transport(f"udpin:127.0.0.1:{rival}")]
        self.autopilot = EmulatedAutopilot(self.body, firmware, transports)
        self._camera = CameraServer("127.0.0.1", 0)
        self.said: list[tuple[float, str]] = []  # what the loop printed, s on the monotonic clock
        self.timer = subprocess.Popen([sys.executable, "-S", "-c", TIMER], stdout=subprocess.PIPE, text=True)
        self._late: list[tuple[float, float]] = []
        command = [
            sys.executable, "-m", "navstack", "fly", POLICY, "--autopilot", f"udpin:127.0.0.1:{link}",
            "--camera", self._camera.url, "--camera-fov", "80", "--engage", "self", "--log", str(self.log),
            "--view", "--view-address", "127.0.0.1:0", "--fence", f"{fence:g}", "--ceiling", f"{ceiling:g}",
            "--drift", "0.1", *options,
        ]  # fmt: skip
        self.loop = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL
        )
        self.stage = 0  # of the fault: not begun, begun, undone
        self.helpers: list[subprocess.Popen[str]] = []  # what a fault started
        self._watchers: dict[str, int] = {}
        self._readers = [
            threading.Thread(target=reader, daemon=True) for reader in (self._listen, self._watch_timer)
        ]
        for reader in self._readers:
            reader.start()
        self._began = time.monotonic() - self.body.now()
        self.behind: list[tuple[float, float]] = []  # when, s that the vehicle was behind the wall clock
        self.places: list[tuple[float, Vector3, float, float]] = []  # when, ENU, m above ground, m/s
        self.setpoints: list[float] = []  # when one was taken
        self.acts: list[tuple[float, str]] = []  # what the autopilot did
        self._told, self._taken = 0, 0

    def _listen(self) -> None:
        assert self.loop.stdout is not None
        for line in self.loop.stdout:
            self.said.append((time.monotonic(), line.strip()))

    def _watch_timer(self) -> None:
        assert self.timer.stdout is not None
        for line in self.timer.stdout:
            if line.strip() != "ready":
                when, late = map(float, line.split())
                self._late.append((when, late))

    def turn(self) -> None:
        """One step of the vehicle, at its time on the wall clock."""
        for frame in self.autopilot.step():
            self._camera.show(frame.image, time.time() - (self.body.now() - frame.capture_time))
        now = time.monotonic()
        state = self.body.state()
        height = self.body.simulator.above_ground(state.position_enu)[2]
        self.places.append((now, state.position_enu, height, state.speed))
        if self.autopilot.setpoints > self._taken:
            self._taken = self.autopilot.setpoints
            self.setpoints.append(now)
        self.acts += [(now, text) for _, text in self.autopilot.log[self._told :]]
        self._told = len(self.autopilot.log)
        ahead = self.body.now() - (now - self._began)
        if ahead > 0.0:
            time.sleep(ahead)
        elif ahead < -STEP:
            self.behind.append((now, -ahead))  # and caught up with: the vehicle's clock must keep its rate
            if ahead < -BEHIND:
                self._began = now - self.body.now()

    def turn_until(self, end: float) -> None:
        """Turn until then (s, monotonic clock) or until it has crashed."""
        while time.monotonic() < end and not self.body.crashed:
            self.turn()

    @property
    def engaged(self) -> bool:
        """Whether the loop has said that it flies."""
        return any(ENGAGED in line for _, line in self.said)

    def lateness(self, since: float, until: float) -> float:
        """s by which this machine was late in that time: the idle process, and the vehicle."""
        return max(
            (late for when, late in (*self._late, *self.behind) if since <= when <= until), default=0.0
        )

    def watchers(self) -> dict[str, int]:
        """The recorder's and the page's process ids; they stay known when the loop is gone."""
        if not self._watchers:
            names = {"navstack.recording": "recorder", "navstack.view.server": "page"}
            for child in _children(self.loop.pid):
                command = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                self._watchers |= {name: child for module, name in names.items() if module in command}
        return self._watchers

    def signal_loop(self, number: signal.Signals) -> None:
        """Send the loop a signal."""
        self.loop.send_signal(number)

    def signal_watcher(self, name: str, number: signal.Signals) -> None:
        """Send the recorder or the page a signal."""
        os.kill(self.watchers()[name], number)

    def threads(self) -> list[int]:
        """The loop's threads, by their ids."""
        return [int(entry.name) for entry in Path(f"/proc/{self.loop.pid}/task").iterdir()]

    def alive(self) -> list[str]:
        """The processes of the flight that have not ended."""
        found = ["loop"] if self.loop.poll() is None else []
        return found + [name for name, pid in self.watchers().items() if _runs(pid)]

    def close(self) -> None:
        """End everything that this flight started."""
        for name, pid in self.watchers().items() if self.loop.poll() is None else self._watchers.items():
            if _runs(pid) and name:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in (self.loop, self.timer, *self.helpers):
            if process.poll() is None:
                process.kill()
            process.wait()
        for reader in self._readers:
            reader.join(2.0)
        for pipe in (self.loop.stdout, self.timer.stdout):
            if pipe is not None:
                pipe.close()
        self._camera.close()
        for transport in (*self.autopilot.transports, self.rival):
            transport.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _children(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    yield int(entry.name)


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
