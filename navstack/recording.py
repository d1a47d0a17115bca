"""The recorder's own process: reads the ring, writes the flight log, ends when the flight loop does.

Started by `navstack.watchers`; standard input carries one line of JSON and then stays open for as long as
the loop lives, however that ends.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from navstack.card import card_from_json
from navstack.child import loop_is_gone, read_settings, step_back
from navstack.errors import InputError
from navstack.recorder import FlightRecorder, Rotation
from navstack.ring import Ring, RingReader
from navstack.safety.rule import guard_config
from navstack.telemetry import Note, unpack

POLL = 0.05  # s
SYNC_EVERY = 1.0  # s


def record(reader: RingReader, recorder: FlightRecorder) -> None:
    """Write what comes until the loop is gone and the ring is empty."""
    synced, gone, told = time.monotonic(), False, 0
    while True:
        gone = gone or loop_is_gone()
        taken = reader.take()
        for data in taken:
            found = unpack(data)
            if reader.dropped > told:
                text = f"{reader.dropped - told} turns were dropped before they could be written"
                found = type(found)(found.tick, found.link, (*found.notes, _note(found.tick.time, text)))
                told = reader.dropped
            recorder.write(found)
        if gone and not taken:
            return
        if time.monotonic() - synced >= SYNC_EVERY:
            recorder.sync()
            synced = time.monotonic()
        if not gone:
            time.sleep(POLL)


def _note(when: float, text: str) -> Note:
    return Note(when, "recorder", text, warning=True)


def main() -> int:
    """Run the process; 2 with one sentence where the log cannot be written."""
    step_back()
    settings = read_settings()
    try:
        ring = Ring.open(settings["ring"])
        rotation = Rotation(settings["file_bytes"], settings["files"])
        guard = guard_config(settings["guard"]) if settings["guard"] else None
        card = card_from_json(settings["card"])
        recorder = FlightRecorder(Path(settings["path"]), card, rotation, guard)
        print("ready", flush=True)
        try:
            record(RingReader(ring, settings["reader"]), recorder)
        finally:
            recorder.close()
    except InputError as error:
        print(f"navstack recorder: {error}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
