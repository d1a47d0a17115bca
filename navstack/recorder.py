"""The flight log: one MCAP file that Foxglove opens, readable to the last second if the process dies.

Channels, all JSON: `/camera` (foxglove.CompressedImage), `/vehicle` (foxglove.PoseInFrame), `/events`
(foxglove.Log), and of our own `/velocity`, `/command` (the policy's) and `/sent` (the guard's). The policy's
card stands in the file's metadata. Chunks are small and end at least once a second of flight, so what a kill
costs is bounded.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import cv2
from mcap.writer import CompressionType, Writer

from navstack.card import card_to_json
from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.files import disk_errors
from navstack.flight import Tick

CHUNK_SIZE = 16 << 10  # bytes
FLUSH_EVERY = 1.0  # s of flight
WARNING = 3  # foxglove.Log's level

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


_TEXT = {"type": "string"}
_COMMAND = {name: {"type": "number"} for name in ("forward", "left", "up", "yaw_rate")}
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
    "/velocity": _schema("navstack.VelocityEnu", **{axis: {"type": "number"} for axis in ("x", "y", "z")}),
    "/command": _schema("navstack.VelocityCommand", **_COMMAND),
    "/sent": _schema("navstack.VelocityCommand", **_COMMAND),
}


class FlightRecorder:
    """Writes every tick of a flight. An observer of `navstack.flight.fly`; `close` ends the file.

    Raises InputError when the file exists or cannot be written.
    """

    def __init__(self, path: Path, card: PolicyCard) -> None:
        self.path = path
        try:
            with disk_errors(path):
                self._file: IO[bytes] = path.open("xb")
        except InputError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise InputError(f"{path} exists; name another flight log or remove it") from error
            raise
        with disk_errors(path):
            self._writer = Writer(self._file, chunk_size=CHUNK_SIZE, compression=CompressionType.NONE)
            self._writer.start(profile="", library="navstack")
            self._writer.add_metadata("policy card", {"json": card_to_json(card)})
            self._channels = {topic: self._register(topic) for topic in SCHEMAS}
        self._flushed = float("-inf")

    def _register(self, topic: str) -> int:
        schema = SCHEMAS[topic]
        number = self._writer.register_schema(schema["title"], "jsonschema", json.dumps(schema).encode())
        return self._writer.register_channel(topic, "json", number)

    def __call__(self, tick: Tick) -> None:
        """Write one turn of the loop."""
        with disk_errors(self.path):
            if tick.frame is not None:
                picture = cv2.cvtColor(tick.frame.image, cv2.COLOR_RGB2BGR)
                encoded = base64.b64encode(cv2.imencode(".png", picture)[1].tobytes()).decode()
                image = {"frame_id": "camera", "data": encoded, "format": "png"}
                self._write("/camera", tick.frame.capture_time, image)
                self._write("/command", tick.time, asdict(tick.command))
            self._write("/sent", tick.time, asdict(tick.sent))
            (x, y, z), (a, b, c, d) = tick.state.position_enu, tick.state.orientation
            pose = {"position": {"x": x, "y": y, "z": z}, "orientation": {"x": a, "y": b, "z": c, "w": d}}
            self._write("/vehicle", tick.time, {"frame_id": "enu", "pose": pose})
            self._write("/velocity", tick.time, dict(zip("xyz", tick.state.velocity_enu, strict=True)))
            for event in tick.events:
                message = f"{event.rule}: {event.action or 'ended'}"
                log = {"level": WARNING, "message": message, "name": "guard", "file": "", "line": 0}
                self._write("/events", event.time, log)
            if tick.time - self._flushed >= FLUSH_EVERY:
                self._writer.flush()  # type: ignore[no-untyped-call]  # ends the chunk: readers find it whole
                self._flushed = tick.time

    def _write(self, topic: str, time: float, message: dict[str, Any]) -> None:
        nanoseconds = round(1e9 * max(0.0, time))
        sec, nsec = divmod(nanoseconds, 1_000_000_000)
        data = json.dumps({"timestamp": {"sec": sec, "nsec": nsec}, **message}).encode()
        self._writer.add_message(self._channels[topic], nanoseconds, data, nanoseconds)

    def close(self) -> None:
        """End the file; harmless when already closed."""
        if not self._file.closed:
            with disk_errors(self.path):
                self._writer.finish()  # type: ignore[no-untyped-call]
                self._file.close()
