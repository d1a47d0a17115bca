"""What a flight log holds: its channels, the protobuf message of each, and reading them back.

Foxglove's own messages where it has them (package foxglove-schemas-protobuf), so that Foxglove and Rerun draw
the camera, the pose and the events; ours for the rest, described here and in every file. A number that is not
known (None) is a field that is not set. Writing needs no more than the base; reading needs the package `mcap`
(extra `log`), which is imported when a log is opened.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.PoseInFrame_pb2 import PoseInFrame
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from navstack.errors import InputError
from navstack.opencv import cv2

BROKEN = (
    OSError, DecodeError, ValueError, KeyError, TypeError, AttributeError, IndexError,
    struct.error, EOFError, OverflowError, RecursionError, RuntimeError, MemoryError, cv2.error,
)  # fmt: skip
"""What reading a file that is no flight log, or a damaged one, may raise here, in protobuf and in OpenCV."""

COMMAND = ("forward", "left", "up", "yaw_rate")  # m/s, rad/s
_OURS: dict[str, dict[str, str]] = {
    "VelocityEnu": {
        **dict.fromkeys(("x", "y", "z", "roll_rate", "pitch_rate", "yaw_rate"), "double"),
        "height": "double?",
    },
    "PolicyCommand": {**dict.fromkeys(COMMAND, "double"), "dt": "double"},
    "SentCommand": {**dict.fromkeys(COMMAND, "double"), "demand": "string"},
    "Latency": {"image_to_setpoint": "double", "late": "bool"},
    "Link": {
        "authority": "string", "mode": "string", "armed": "bool", "landed": "bool?", "battery": "double?",
        "voltage": "double?", "heartbeat_age": "double?", "loss": "double", "round_trip": "double?",
        "estimate_ok": "bool?",
    },
}  # fmt: skip
"""Message -> field -> type; a question mark: it may be unknown. Each has a `timestamp` before these."""


def _described() -> dict[str, Any]:
    """The classes of our own messages."""
    types = {
        "double": FieldDescriptorProto.TYPE_DOUBLE, "string": FieldDescriptorProto.TYPE_STRING,
        "bool": FieldDescriptorProto.TYPE_BOOL,
    }  # fmt: skip
    file = FileDescriptorProto(
        name="navstack/flight_log.proto", package="navstack", syntax="proto3",
        dependency=[Timestamp.DESCRIPTOR.file.name],
    )  # fmt: skip
    for name, fields in _OURS.items():
        message = file.message_type.add(name=name)
        message.field.add(
            name="timestamp", number=1, label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp",
        )  # fmt: skip
        for number, (field, kind) in enumerate(fields.items(), 2):
            added = message.field.add(
                name=field, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL,
                type=types[kind.rstrip("?")],
            )  # fmt: skip
            if kind.endswith("?"):  # protobuf keeps whether it was set, as of a choice of one
                added.proto3_optional, added.oneof_index = True, len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field}")
    pool = descriptor_pool.Default()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"navstack.{name}")) for name in _OURS}


_CLASSES = _described()
CHANNELS: dict[str, Any] = {
    "/camera": CompressedImage,
    "/vehicle": PoseInFrame,
    "/events": Log,
    "/velocity": _CLASSES["VelocityEnu"],
    "/command": _CLASSES["PolicyCommand"],
    "/sent": _CLASSES["SentCommand"],
    "/latency": _CLASSES["Latency"],
    "/link": _CLASSES["Link"],
}
"""Topic -> class of its messages."""


def schema_of(message: Any) -> tuple[str, str, bytes]:
    """Name, encoding and description of a class of messages: its file, after all that the file depends on."""
    described, seen = FileDescriptorSet(), set()

    def add(file: Any) -> None:
        for needed in file.dependencies:
            if needed.name not in seen:
                seen.add(needed.name)
                add(needed)
        file.CopyToProto(described.file.add())

    add(message.DESCRIPTOR.file)
    return message.DESCRIPTOR.full_name, "protobuf", described.SerializeToString()


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Turn the errors of the package mcap into built-in ones of `BROKEN`, and its absence into a sentence."""
    try:
        from mcap.exceptions import EndOfFile, McapError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading a flight log needs the package '{error.name}'; pip install 'navstack[log]'",
            name=error.name,
        ) from error
    try:
        yield
    except EndOfFile as error:
        raise EOFError(*error.args) from error
    except McapError as error:
        raise ValueError(*error.args) from error


def read_messages(path: Path, *topics: str) -> Iterator[tuple[str, Any]]:
    """Topic and message, in the order in which they were written; of all channels unless some are named.

    Needs no index at the end of the file, which a flight that was killed has not. Raises one of `BROKEN`
    where the file is damaged or no flight log, and ModuleNotFoundError where `mcap` is not installed.
    """
    with _reading(), path.open("rb") as file:
        from mcap.reader import NonSeekingReader

        reader = NonSeekingReader(file)
        for schema, channel, message in reader.iter_messages(topics=topics or None, log_time_order=False):
            known = CHANNELS.get(channel.topic)
            if known is None:
                continue
            if schema is None or (schema.name, schema.encoding) != (known.DESCRIPTOR.full_name, "protobuf"):
                raise ValueError(f"'{channel.topic}' holds no {known.DESCRIPTOR.full_name} in protobuf")
            yield channel.topic, known.FromString(message.data)


def refused(path: Path, error: BaseException) -> InputError:
    """The sentence for a file of which nothing could be read, given one of `BROKEN`."""
    if isinstance(error, OSError):
        return InputError(f"{path}: cannot be read ({error.strerror or error})")
    early = isinstance(error, EOFError | struct.error)
    why = "it ends too early" if early else str(error) or type(error).__name__
    return InputError(f"{path}: not a flight log of navstack fly, or damaged before its first turn ({why})")


def read_metadata(path: Path) -> dict[str, str]:
    """What stands before the first message: a log that was cut short has nothing behind the last.

    Raises as `read_messages` does.
    """
    found = {}
    with _reading(), path.open("rb") as file:
        from mcap.records import Message, Metadata
        from mcap.stream_reader import StreamReader

        for record in StreamReader(file).records:
            if isinstance(record, Message):
                break
            if isinstance(record, Metadata):
                found[record.name] = record.metadata["json"]
    return found


def seconds(message: Any) -> float:
    """The time (s) of a message."""
    return float(message.timestamp.seconds + 1e-9 * message.timestamp.nanos)


def picture(message: Any) -> npt.NDArray[np.uint8]:
    """The (H, W, 3) RGB image of a message of `/camera`. Raises ValueError where it cannot be decoded."""
    bgr = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR) if message.data else None
    if bgr is None:
        raise ValueError("a frame is no picture that can be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def optional(message: Any, field: str) -> Any:
    """The value of a field that may be unknown, then None."""
    return getattr(message, field) if message.HasField(field) else None
