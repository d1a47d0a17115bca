"""The flight log: MCAP files that Foxglove and Rerun open, readable to the last second if the process dies.

Channels (`navstack/log_format.py`), all protobuf: `/camera` (foxglove.CompressedImage), `/vehicle`
(foxglove.PoseInFrame), `/events` (foxglove.Log), and of our own `/velocity` (with the body's turning rates),
`/command` (the policy's, with the dt that it was told), `/sent` (the guard's, with what it demanded),
`/latency` and `/link`. The policy's card
and the guard's configuration stand in the file's metadata. Chunks are small and end at least once a second of
flight, so what a kill costs is bounded. A log may be bounded in size: it then goes on in further files, and
the oldest are removed.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.timestamp_pb2 import Timestamp

from navstack.card import card_to_json
from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.files import disk_errors
from navstack.flight import Tick
from navstack.log_format import CHANNELS, schema_of
from navstack.mcap_writer import McapWriter
from navstack.opencv import cv2
from navstack.safety import Demand, GuardConfig
from navstack.telemetry import Record

CHUNK_SIZE = 16 << 10  # bytes
FLUSH_EVERY = 1.0  # s of flight
INFO, WARNING = "INFO", "WARNING"  # foxglove.Log's levels


@dataclass(frozen=True, slots=True)
class Rotation:
    """How large a log may become."""

    file_bytes: int = 256 << 20  # of one file
    files: int = 8  # kept, the newest; more are removed, the oldest first


class FlightRecorder:
    """Writes every turn of a flight. An observer of `navstack.flight.fly`; `close` ends the file.

    Raises InputError when the file exists or cannot be written. With a rotation the log goes on in
    `NAME.1.mcap`, `NAME.2.mcap` and so on.
    """

    def __init__(
        self,
        path: Path,
        card: PolicyCard,
        rotation: Rotation | None = None,
        guard: GuardConfig | None = None,
    ) -> None:
        self.path, self._first, self._card, self._rotation, self._guard = path, path, card, rotation, guard
        self._number, self._there = 0, [path]
        self._open()

    def _open(self) -> None:
        try:
            with disk_errors(self.path):
                self._file: IO[bytes] = self.path.open("xb")
        except InputError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise InputError(f"{self.path} exists; name another flight log or remove it") from error
            raise
        with disk_errors(self.path):
            self._writer = McapWriter(self._file, CHUNK_SIZE, library="navstack")
            self._writer.add_metadata("policy card", {"json": card_to_json(self._card)})
            if self._guard is not None:
                self._writer.add_metadata("guard", {"json": json.dumps(asdict(self._guard))})
            self._channels = {topic: self._register(topic) for topic in CHANNELS}
        self._flushed = float("-inf")

    def _register(self, topic: str) -> int:
        schema = self._writer.add_schema(*schema_of(CHANNELS[topic]))
        return self._writer.add_channel(topic, "protobuf", schema)

    def __call__(self, tick: Tick) -> None:
        """Write one turn of the loop."""
        self.write(Record(tick))

    def write(self, record: Record) -> None:
        """Write one turn of the loop, and what was new about the link and else."""
        tick = record.tick
        with disk_errors(self.path):
            self._write_frame(tick)
            demand = "" if tick.demand is Demand.FLY else tick.demand.name.lower().replace("_", " ")
            self._write("/sent", tick.time, **asdict(tick.sent), demand=demand)
            self._write_state(tick)
            self._write("/latency", tick.time, image_to_setpoint=tick.latency, late=tick.late)
            for event in tick.events:
                message = f"{event.rule}: {event.action or 'ended'}"
                self._log(event.time, "guard", message, WARNING)
            for note in record.notes:
                self._log(note.time, note.source, note.text, WARNING if note.warning else INFO)
            if record.link is not None:
                self._write("/link", tick.time, **asdict(record.link))
            if tick.time - self._flushed >= FLUSH_EVERY:
                self._writer.flush()  # ends the chunk: readers find it whole
                self._flushed = tick.time
                self._rotate()

    def _write_frame(self, tick: Tick) -> None:
        if tick.frame is None:
            return
        picture = cv2.cvtColor(tick.frame.image, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".png", picture)[1].tobytes()
        self._write("/camera", tick.frame.capture_time, frame_id="camera", data=data, format="png")
        self._write("/command", tick.time, **asdict(tick.command), dt=tick.dt or 0.0)

    def _write_state(self, tick: Tick) -> None:
        state, axes = tick.state, ("x", "y", "z", "w")
        position = Vector3(**dict(zip(axes, state.position_enu, strict=False)))
        orientation = Quaternion(**dict(zip(axes, state.orientation, strict=True)))
        self._write(
            "/vehicle", tick.time, frame_id="enu", pose=Pose(position=position, orientation=orientation)
        )
        rates = zip(("roll_rate", "pitch_rate", "yaw_rate"), state.angular_velocity_flu, strict=True)
        velocity = dict(zip("xyz", state.velocity_enu, strict=True))
        self._write("/velocity", tick.time, **velocity, **dict(rates), height=state.height)

    def _log(self, time: float, name: str, message: str, level: str) -> None:
        self._write("/events", time, level=level, message=message, name=name)

    def _write(self, topic: str, time: float, **fields: Any) -> None:
        nanoseconds = round(1e9 * max(0.0, time))
        seconds, nanos = divmod(nanoseconds, 1_000_000_000)
        message = CHANNELS[topic](timestamp=Timestamp(seconds=seconds, nanos=nanos), **fields)
        self._writer.add_message(self._channels[topic], nanoseconds, message.SerializeToString())

    def _rotate(self) -> None:
        if self._rotation is None or self._file.tell() < self._rotation.file_bytes:
            return
        self.close()
        self._number += 1
        self.path = self._first.with_name(f"{self._first.stem}.{self._number}{self._first.suffix}")
        self._open()
        self._there.append(self.path)
        while len(self._there) > max(1, self._rotation.files):
            with contextlib.suppress(OSError):
                self._there.pop(0).unlink()

    def sync(self) -> None:
        """Have the disk hold what was written, for the day that the power fails.

        Raises InputError where the file was removed: what is written from then on would be lost in silence.
        """
        with disk_errors(self.path):
            os.fdatasync(self._file.fileno())
            if not os.fstat(self._file.fileno()).st_nlink:
                raise InputError(f"{self.path}: the flight log was removed in flight")

    def close(self) -> None:
        """End the file; harmless when already closed."""
        if not self._file.closed:
            with disk_errors(self.path):
                self._writer.finish()
                self._file.close()
