"""The flight log: MCAP files that Foxglove opens, readable to the last second if the process dies.

Channels, all JSON: `/camera` (foxglove.CompressedImage), `/vehicle` (foxglove.PoseInFrame), `/events`
(foxglove.Log), and of our own `/velocity` (with the body's turning rates), `/command` (the policy's, with the
dt that it was told), `/sent` (the guard's, with what it demanded), `/latency` and `/link`. The policy's card
and the guard's configuration stand in the file's metadata. Chunks are small and end at least once a second of
flight, so what a kill costs is bounded. A log may be bounded in size: it then goes on in further files, and
the oldest are removed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from mcap.writer import CompressionType, Writer

from navstack.card import card_to_json
from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.files import disk_errors
from navstack.flight import Tick
from navstack.opencv import cv2
from navstack.safety import Demand, GuardConfig
from navstack.telemetry import Record

CHUNK_SIZE = 16 << 10  # bytes
FLUSH_EVERY = 1.0  # s of flight
INFO, WARNING = 2, 3  # foxglove.Log's levels

_TIME = {
    "type": "object",
    "title": "time",
    "properties": {
        "sec": {"type": "integer", "minimum": 0},
        "nsec": {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    },
}


def _numbers(title: str, *names: str) -> dict[str, Any]:
    return {"type": "object", "title": title, "properties": {name: {"type": "number"} for name in names}}


def _schema(title: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "title": title, "properties": {"timestamp": _TIME, **properties}}


_TEXT, _NUMBER = {"type": "string"}, {"type": "number"}
_MAYBE = {"type": ["number", "null"]}
_COMMAND = dict.fromkeys(("forward", "left", "up", "yaw_rate"), _NUMBER)
_MOTION = dict.fromkeys(("x", "y", "z", "roll_rate", "pitch_rate", "yaw_rate"), _NUMBER)
SCHEMAS: dict[str, dict[str, Any]] = {
    "/camera": _schema(
        "foxglove.CompressedImage",
        frame_id=_TEXT,
        data={"type": "string", "contentEncoding": "base64"},
        format=_TEXT,
    ),
    "/vehicle": _schema(
        "foxglove.PoseInFrame",
        frame_id=_TEXT,
        pose={
            "type": "object",
            "title": "foxglove.Pose",
            "properties": {
                "position": _numbers("foxglove.Vector3", "x", "y", "z"),
                "orientation": _numbers("foxglove.Quaternion", "x", "y", "z", "w"),
            },
        },
    ),
    "/events": _schema(
        "foxglove.Log",
        level={"type": "integer"},
        message=_TEXT,
        name=_TEXT,
        file=_TEXT,
        line={"type": "integer", "minimum": 0},
    ),
    "/velocity": _schema(
        "navstack.VelocityEnu", **_MOTION, height=_MAYBE,
    ),
    "/command": _schema("navstack.PolicyCommand", **_COMMAND, dt=_NUMBER),
    "/sent": _schema("navstack.SentCommand", **_COMMAND, demand=_TEXT),
    "/latency": _schema("navstack.Latency", image_to_setpoint=_NUMBER, late={"type": "boolean"}),
    "/link": _schema(
        "navstack.Link",
        authority=_TEXT, mode=_TEXT, armed={"type": "boolean"}, landed={"type": ["boolean", "null"]},
        battery=_MAYBE, voltage=_MAYBE, heartbeat_age=_MAYBE, loss=_NUMBER, round_trip=_MAYBE,
        estimate_ok={"type": ["boolean", "null"]},
    ),
}  # fmt: skip


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
            self._writer = Writer(self._file, chunk_size=CHUNK_SIZE, compression=CompressionType.NONE)
            self._writer.start(profile="", library="navstack")
            self._writer.add_metadata("policy card", {"json": card_to_json(self._card)})
            if self._guard is not None:
                self._writer.add_metadata("guard", {"json": json.dumps(asdict(self._guard))})
            self._channels = {topic: self._register(topic) for topic in SCHEMAS}
        self._flushed = float("-inf")

    def _register(self, topic: str) -> int:
        schema = SCHEMAS[topic]
        number = self._writer.register_schema(schema["title"], "jsonschema", json.dumps(schema).encode())
        return self._writer.register_channel(topic, "json", number)

    def __call__(self, tick: Tick) -> None:
        """Write one turn of the loop."""
        self.write(Record(tick))

    def write(self, record: Record) -> None:
        """Write one turn of the loop, and what was new about the link and else."""
        tick = record.tick
        with disk_errors(self.path):
            self._write_frame(tick)
            demand = "" if tick.demand is Demand.FLY else tick.demand.name.lower().replace("_", " ")
            self._write("/sent", tick.time, {**asdict(tick.sent), "demand": demand})
            self._write_state(tick)
            self._write("/latency", tick.time, {"image_to_setpoint": tick.latency, "late": tick.late})
            for event in tick.events:
                message = f"{event.rule}: {event.action or 'ended'}"
                self._log(event.time, "guard", message, WARNING)
            for note in record.notes:
                self._log(note.time, note.source, note.text, WARNING if note.warning else INFO)
            if record.link is not None:
                self._write("/link", tick.time, asdict(record.link))
            if tick.time - self._flushed >= FLUSH_EVERY:
                self._writer.flush()  # type: ignore[no-untyped-call]  # ends the chunk: readers find it whole
                self._flushed = tick.time
                self._rotate()

    def _write_frame(self, tick: Tick) -> None:
        if tick.frame is None:
            return
        picture = cv2.cvtColor(tick.frame.image, cv2.COLOR_RGB2BGR)
        encoded = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
        image = {"frame_id": "camera", "data": encoded, "format": "png"}
        self._write("/camera", tick.frame.capture_time, image)
        self._write("/command", tick.time, {**asdict(tick.command), "dt": tick.dt or 0.0})

    def _write_state(self, tick: Tick) -> None:
        (x, y, z), (a, b, c, d) = tick.state.position_enu, tick.state.orientation
        pose = {"position": {"x": x, "y": y, "z": z}, "orientation": {"x": a, "y": b, "z": c, "w": d}}
        self._write("/vehicle", tick.time, {"frame_id": "enu", "pose": pose})
        rates = zip(("roll_rate", "pitch_rate", "yaw_rate"), tick.state.angular_velocity_flu, strict=True)
        velocity = dict(zip("xyz", tick.state.velocity_enu, strict=True))
        self._write("/velocity", tick.time, {**velocity, **dict(rates), "height": tick.state.height})

    def _log(self, time: float, name: str, message: str, level: int) -> None:
        log = {"level": level, "message": message, "name": name, "file": "", "line": 0}
        self._write("/events", time, log)

    def _write(self, topic: str, time: float, message: dict[str, Any]) -> None:
        nanoseconds = round(1e9 * max(0.0, time))
        sec, nsec = divmod(nanoseconds, 1_000_000_000)
        stamped = {"timestamp": {"sec": sec, "nsec": nsec}, **message}
        try:
            data = json.dumps(stamped, allow_nan=False).encode()
        except ValueError:  # JSON knows no number that is none
            data = json.dumps(_without_nan(stamped)).encode()
        self._writer.add_message(self._channels[topic], nanoseconds, data, nanoseconds)

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
        """Have the disk hold what was written, for the day that the power fails."""
        with disk_errors(self.path):
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """End the file; harmless when already closed."""
        if not self._file.closed:
            with disk_errors(self.path):
                self._writer.finish()  # type: ignore[no-untyped-call]
                self._file.close()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
