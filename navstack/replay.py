"""`navstack replay`: the pictures and states of a flight log once more, through another policy or guard.

Nothing flies: the states stay those of the log, so what differs is what would have been sent at each instant
of that flight. The rules about link, battery, estimate and pilot are silent, as the log does not hold all of
what an autopilot said of itself.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader
from mcap.records import Message, Metadata
from mcap.stream_reader import StreamReader

from navstack.card import card_from_json
from navstack.commands.replay import Replay
from navstack.contract import Frame, Limits, PolicyCard, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.opencv import cv2
from navstack.policy import OnnxPolicy
from navstack.safety import Guard, GuardConfig, guard_for
from navstack.safety.rule import guard_config
from navstack.settings import guard_numbers

SAME = 1e-6  # m/s, rad/s: below, two commands are the same; times in a log are whole nanoseconds
BROKEN = (
    OSError, McapError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error, EOFError,
    OverflowError, RecursionError, RuntimeError, MemoryError, cv2.error,
)  # fmt: skip
"""What reading a file that is no flight log, or a damaged one, may raise in mcap, JSON and OpenCV."""
COMPONENTS = ("forward", "left", "up", "yaw_rate")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the loop, as logged."""

    time: float  # s
    frame: Frame | None
    dt: float | None  # s that the policy was told
    command: VelocityCommand | None  # the policy's, where it saw a frame
    sent: VelocityCommand
    state: VehicleState


@dataclass(slots=True)
class Log:
    """A flight log: what it says of its policy and guard, and its turns."""

    card: PolicyCard
    guard: GuardConfig | None
    turns: list[Turn] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)  # rule -> transitions


def read_log(path: Path) -> Log:
    """The log in a file; one that a kill cut short is read up to there.

    Raises InputError for a file that is no flight log.
    """
    log: Log | None = None
    pending: dict[str, Any] = {}
    try:
        for topic, message in _messages(path):
            if topic == "metadata":
                log = _begin(message)
            elif log is None:
                continue
            elif topic == "/events" and message["name"] == "guard":
                log.events[message["message"].partition(":")[0]] += 1
            else:
                pending[topic] = message
                if topic == "/velocity" and {"/sent", "/vehicle"} <= pending.keys():
                    log.turns.append(_turn(pending))
                    pending = {}
    except BROKEN as error:
        if log is None or not log.turns:
            raise InputError(f"{path}: not a flight log of navstack fly ({error})") from error
    if log is None or not log.turns:
        raise InputError(f"{path}: the flight log holds no turn of a flight")
    return log


def _messages(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        yield "metadata", _metadata(file)
    with path.open("rb") as file:
        for _, channel, message in NonSeekingReader(file).iter_messages(log_time_order=False):
            yield channel.topic, json.loads(message.data)


def _metadata(file: IO[bytes]) -> dict[str, str]:
    """What stands before the first message: a log that was cut short has nothing behind the last."""
    found = {}
    for record in StreamReader(file).records:
        if isinstance(record, Message):
            break
        if isinstance(record, Metadata):
            found[record.name] = record.metadata["json"]
    return found


def _begin(metadata: dict[str, Any]) -> Log:
    guard = guard_config(json.loads(metadata["guard"])) if "guard" in metadata else None
    return Log(card_from_json(metadata["policy card"]), guard)


def _turn(messages: dict[str, Any]) -> Turn:
    pose, velocity, sent = messages["/vehicle"]["pose"], messages["/velocity"], messages["/sent"]
    time = _seconds(sent)
    state = VehicleState(
        time,
        tuple(pose["position"][axis] for axis in "xyz"),
        tuple(velocity[axis] for axis in "xyz"),
        tuple(pose["orientation"][axis] for axis in "xyzw"),
        (velocity.get("roll_rate", 0.0), velocity.get("pitch_rate", 0.0), velocity.get("yaw_rate", 0.0)),
        velocity.get("height"),
    )
    camera, command = messages.get("/camera"), messages.get("/command")
    frame = None if camera is None else Frame(_picture(camera), _seconds(camera))
    return Turn(
        time, frame, None if command is None else command.get("dt"),
        None if command is None else _command(command), _command(sent), state,
    )  # fmt: skip


def _command(message: dict[str, Any]) -> VelocityCommand:
    return VelocityCommand(*(float(message[name]) for name in COMPONENTS))


def _seconds(message: dict[str, Any]) -> float:
    return float(message["timestamp"]["sec"] + 1e-9 * message["timestamp"]["nsec"])


def _picture(message: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    data = np.frombuffer(base64.b64decode(message["data"]), np.uint8)
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError("a frame is no picture that can be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


@dataclass(frozen=True, slots=True)
class Difference:
    """What another policy or guard would have done."""

    frames: int
    turns: int
    policy: dict[str, tuple[float, float]]  # component -> mean and largest difference of the policy's command
    sent: dict[str, tuple[float, float]]  # the same of what left the guard
    turns_that_differ: int
    events_then: dict[str, int]
    events_now: dict[str, int]


def compare(log: Log, policy: OnnxPolicy, guard: Guard) -> Difference:
    """Run the log's pictures through the policy and its commands through the guard."""
    policy.reset()
    guard.reset(log.turns[0].state)
    nominal, command = 1.0 / policy.card.rate_hz, VelocityCommand(0.0, 0.0, 0.0, 0.0)
    newest, first = log.turns[0].time, True
    thought, left, events = [], [], Counter[str]()
    for turn in log.turns:
        if turn.frame is not None:
            gap = turn.frame.capture_time - newest
            dt = turn.dt if turn.dt else nominal if first else gap
            if not first and gap > 1.0:  # as in the loop: `navstack.flight.FORGET_AFTER`
                policy.reset()
            command, newest, first = policy.step(turn.frame.image, dt), turn.frame.capture_time, False
            if turn.command is not None:
                thought.append(command.as_array() - turn.command.as_array())
        decision = guard.apply(command, turn.time - newest, turn.state, turn.time, frame=turn.frame)
        left.append(decision.command.as_array() - turn.sent.as_array())
        events.update(event.rule for event in decision.events)
    differ = int((np.abs(np.array(left)) > SAME).any(axis=1).sum())
    return Difference(
        len(thought), len(left), _summary(thought), _summary(left), differ, dict(log.events), dict(events)
    )


def _summary(rows: list[Any]) -> dict[str, tuple[float, float]]:
    size = np.abs(np.array(rows, np.float64).reshape(-1, 4))
    if not len(size):
        return dict.fromkeys(COMPONENTS, (0.0, 0.0))
    pairs = zip(size.mean(axis=0).tolist(), size.max(axis=0).tolist(), strict=True)
    return dict(zip(COMPONENTS, pairs, strict=True))


def run(arguments: Replay) -> int:
    """Replay and print; always 0: a difference is no failure. Raises InputError for what cannot be read."""
    check_new_file(arguments.json)
    log = read_log(arguments.log)
    policy = OnnxPolicy.load(arguments.policy) if arguments.policy else _own_policy(log)
    policy.check_camera(log.card.camera)
    base = log.guard or GuardConfig()
    numbers: dict[str, Any] = dict(guard_numbers(arguments.config, base))
    for name in ("fence", "ceiling", "floor", "drift"):
        value = getattr(arguments, name)
        numbers |= {} if value is None else {name: value}
    limits = base.limits if log.guard is not None else log.card.limits
    speed, turn = arguments.speed, arguments.turn
    limits = Limits(
        speed or limits.forward, speed or limits.left, speed or limits.up, turn or limits.yaw_rate
    )
    guard = guard_for(policy.card, replace(base, **numbers), limits, base.latency)
    found = compare(log, policy, guard)
    print(text(arguments, found))
    if arguments.json is not None:
        facts = {name: getattr(found, name) for name in Difference.__slots__}
        write_atomically(arguments.json, (json.dumps(facts, indent=1) + "\n").encode())
    return 0


def _own_policy(log: Log) -> OnnxPolicy:
    """The policy that ships and has the log's card. Raises InputError where none has."""
    from navstack.policy import model_names

    for name in model_names():
        policy = OnnxPolicy.load(name)
        if policy.card == log.card:
            return policy
    raise InputError("the log was flown with a policy that does not ship here; name its file with --policy")


def text(arguments: Replay, found: Difference) -> str:
    """The differences for a person."""
    lines = [f"{arguments.log}: {found.turns} turns, {found.frames} frames"]
    for what, rows in (("policy's command", found.policy), ("sent", found.sent)):
        parts = (f"{name} {mean:.4f} ({most:.4f})" for name, (mean, most) in rows.items())
        lines.append(f"{what}, mean difference (largest): {', '.join(parts)}")
    lines.append(f"turns on which another command would have left: {found.turns_that_differ}")
    rules = sorted({*found.events_then, *found.events_now})
    for rule in rules:
        then, now = found.events_then.get(rule, 0), found.events_now.get(rule, 0)
        lines.append(f"  {rule}: {then} transitions in the log, {now} now")
    return "\n".join(lines)
