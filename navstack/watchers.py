"""Those who watch a flight: the recorder and the page, each a process of its own behind the ring.

The loop's part is to pack a record and copy it. What the watchers do, and whether they live, never delays it.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from navstack.card import card_to_json
from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.recorder import Rotation
from navstack.ring import Ring, RingWriter
from navstack.safety import GuardConfig
from navstack.telemetry import Note, Record, pack

SLOTS = 256  # turns: five seconds at 50 Hz
TEXT = 8 << 10  # bytes for events in a record
READY_WITHIN = 20.0  # s
DONE_WITHIN = 5.0  # s
STUCK = 1.5  # s without reading anything, after which it is said
LOOK_EVERY = 10  # turns: half a second at most


class Watcher:
    """One watching process."""

    def __init__(self, name: str, module: str, ring: Ring, index: int, settings: dict[str, Any]) -> None:
        self.name, self._told = name, False
        self._ring, self._index = ring, index
        self._read, self._moved, self._stuck = 0, math.inf, False
        # A session of its own: Ctrl-C is the loop's to answer. Its standard input ends with the loop.
        self.process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=(ring.descriptor,), start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdin is not None
        self.process.stdin.write(
            json.dumps({"ring": ring.descriptor, "reader": index, **settings}).encode() + b"\n"
        )
        self.process.stdin.flush()

    def wait_until_ready(self) -> str:
        """The line that the process prints once it is. Raises InputError with its sentence where it fails."""
        process = self.process
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], READY_WITHIN)
        line = process.stdout.readline().decode().strip() if ready else ""
        if not line:
            self._told = True
            process.kill()
            _, errors = process.communicate()
            sentence = errors.decode().strip().splitlines()[-1:] or [
                f"it said nothing for {READY_WITHIN:g} s"
            ]
            raise InputError(f"the {self.name} does not start: {sentence[0]}")
        return line

    @property
    def alive(self) -> bool:
        """Whether the process is there, running or stopped."""
        return self.process.poll() is None

    def died(self) -> str | None:
        """What it said when it ended by itself, once; None while it lives."""
        if self._told or self.process.poll() is None:
            return None
        self._told = True
        assert self.process.stderr is not None
        sentence = self.process.stderr.read().decode().strip().splitlines()[-1:]
        return sentence[0] if sentence else f"ended with status {self.process.returncode}"

    def stuck(self, now: float) -> str | None:
        """What to say when it begins or ends to read nothing, as a stopped process or a dead disk does."""
        read = self._ring.read(self._index)
        if read != self._read or read >= self._ring.written or self._moved == math.inf:
            self._read, self._moved = read, now
            was, self._stuck = self._stuck, False
            return f"the {self.name} reads again" if was else None
        if self._stuck or now - self._moved < STUCK:
            return None
        self._stuck = True
        return f"the {self.name} has read nothing for {now - self._moved:.1f} s"

    def end(self) -> str | None:
        """Let it finish; its last sentence where it failed now."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(DONE_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self.died() if self.process.wait() else None


class Watchers:
    """The ring and whoever reads it. Use as a context manager; `__call__` is told every turn."""

    def __init__(self, card: PolicyCard) -> None:
        shape = (card.camera.height, card.camera.width, 3)
        self.ring = Ring.create(SLOTS, 512 + TEXT + shape[0] * shape[1] * shape[2])
        self._card, self._writer = card, RingWriter(self.ring)
        self._watchers: list[Watcher] = []
        self._requests, self._turns = self.ring.requests, 0
        self.failures: list[str] = []

    def record_to(self, path: Path, rotation: Rotation, guard: GuardConfig | None = None) -> None:
        """Start the recorder. Raises InputError where the log cannot be written."""
        settings = {
            "path": str(path), "file_bytes": rotation.file_bytes, "files": rotation.files,
            "card": card_to_json(self._card), "guard": None if guard is None else asdict(guard),
        }  # fmt: skip
        self._start("recorder", "navstack.recording", settings)

    def show_on(self, address: str, token: str | None, policy: str | None = None) -> str:
        """Start the page; the line that says where it is. Raises InputError where it cannot be served.

        `policy` is the name or path of the one that flies; without it the page shows no attention.
        """
        card = card_to_json(self._card)
        settings = {"address": address, "token": token, "card": card, "policy": policy}
        return self._start("page", "navstack.view.server", settings)

    def _start(self, name: str, module: str, settings: dict[str, Any]) -> str:
        watcher = Watcher(name, module, self.ring, len(self._watchers), settings)
        self._watchers.append(watcher)
        return watcher.wait_until_ready()

    @property
    def processes(self) -> dict[str, int]:
        """Name and process id of each."""
        return {watcher.name: watcher.process.pid for watcher in self._watchers}

    def hold_asked(self) -> bool:
        """Whether somebody pressed HOLD on the page since the last question."""
        before, self._requests = self._requests, self.ring.requests
        return self._requests != before

    def __call__(self, record: Record) -> tuple[Note, ...]:
        """Tell them of a turn; what became of them since, every LOOK_EVERY turns."""
        if not self._writer.put(pack(record)):
            self._writer.put(pack(Record(record.tick)))  # too much was said at once: the turn itself counts
        self._turns += 1
        if self._turns % LOOK_EVERY:
            return ()
        return tuple(note for watcher in self._watchers for note in self._look_at(watcher, record.tick.time))

    def _look_at(self, watcher: Watcher, now: float) -> list[Note]:
        said = watcher.died()
        if said is not None:
            self.failures.append(f"the {watcher.name} is gone: {said}")
            return [Note(now, watcher.name, self.failures[-1], warning=True)]
        text = watcher.stuck(now) if watcher.alive else None
        return [] if text is None else [Note(now, watcher.name, text, warning=True)]

    def __enter__(self) -> Watchers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watcher in self._watchers:
            said = watcher.end()
            if said is not None:
                self.failures.append(f"the {watcher.name} is gone: {said}")
        self.ring.close()
