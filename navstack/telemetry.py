"""What the flight loop tells those who watch it: one record a turn, as bytes through a ring.

Packing takes microseconds in the loop; what costs (pictures, JSON, disk) is done by the processes that read.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from navstack.contract import Frame, VehicleState, VelocityCommand
from navstack.flight import Tick
from navstack.safety import Demand, GuardEvent

ENGAGED = "engaged: policy and guard begin anew"  # the mission's note, by which a replay knows it, too
_FIXED = struct.Struct("<27dBBBBHHI")
_NONE = math.nan  # stands for None: no number of the record may be one


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened besides the guard's own events: of the link, the camera or the loop."""

    time: float  # s, on the flight loop's clock
    source: str  # "link", "camera", "loop", "page"
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """The autopilot and the connection to it, as page and log show them."""

    authority: str = "none"
    mode: str = ""
    armed: bool = False
    landed: bool | None = None
    battery: float | None = None  # 0..1
    voltage: float | None = None  # V
    heartbeat_age: float | None = None  # s
    loss: float = 0.0  # share of messages
    round_trip: float | None = None  # s
    estimate_ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A turn of the loop, with what was new about the link and what else happened."""

    tick: Tick
    link: LinkFacts | None = None  # where it was looked at on this turn
    notes: tuple[Note, ...] = ()


def pack(record: Record) -> list[bytes | memoryview]:
    """The record as the parts of one message."""
    tick = record.tick
    state, frame, sent, command = tick.state, tick.frame, tick.sent, tick.command
    extra: dict[str, Any] = {}
    if tick.events:
        extra["events"] = [(event.time, event.rule, event.action) for event in tick.events]
    if record.notes:
        extra["notes"] = [(note.time, note.source, note.text, note.warning) for note in record.notes]
    if record.link is not None:
        extra["link"] = asdict(record.link)
    text = json.dumps(extra).encode() if extra else b""
    height, width = (0, 0) if frame is None else frame.image.shape[:2]
    fixed = _FIXED.pack(
        tick.time,
        _NONE if frame is None else frame.capture_time,
        _NONE if tick.dt is None else tick.dt,
        command.forward, command.left, command.up, command.yaw_rate,
        sent.forward, sent.left, sent.up, sent.yaw_rate,
        *state.position_enu, *state.velocity_enu, *state.orientation, *state.angular_velocity_flu,
        state.time, tick.latency, 0.0 if state.height is None else state.height,
        tick.demand, tick.late, state.height is not None,
        0 if frame is None or frame.repeated is None else 1 + frame.repeated,
        height, width, len(text),
    )  # fmt: skip
    parts: list[bytes | memoryview] = [fixed, text]
    if frame is not None:
        parts.append(np.ascontiguousarray(frame.image).reshape(-1).data)
    return parts


def unpack(data: bytes) -> Record:
    """The record in a message. Raises ValueError for one that is none."""
    try:
        values = _FIXED.unpack_from(data)
    except struct.error as error:
        raise ValueError(str(error)) from error
    numbers, (demand, late, measured, repeated, height, width, length) = values[:27], values[27:]
    body = _FIXED.size + length
    frame = None
    if height and width:
        image = np.frombuffer(data, np.uint8, height * width * 3, body).reshape(height, width, 3)
        frame = Frame(image, numbers[1], (None, False, True)[repeated])
    state = VehicleState(
        numbers[24], numbers[11:14], numbers[14:17], numbers[17:21], numbers[21:24],
        numbers[26] if measured else None,
    )  # fmt: skip
    extra = json.loads(data[_FIXED.size : body]) if length else {}
    tick = Tick(
        numbers[0], frame, None if math.isnan(numbers[2]) else numbers[2], VelocityCommand(*numbers[3:7]),
        VelocityCommand(*numbers[7:11]), state,
        tuple(GuardEvent(*event) for event in extra.get("events", ())), Demand(demand), numbers[25],
        bool(late),
    )  # fmt: skip
    link = LinkFacts(**extra["link"]) if "link" in extra else None
    return Record(tick, link, tuple(Note(*note) for note in extra.get("notes", ())))
