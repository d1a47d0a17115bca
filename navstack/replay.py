"""`navstack replay`: the pictures and states of a flight log once more, through another policy or guard.

Nothing flies: the states stay those of the log, so what differs is what would have been sent at each instant
of that flight. The rules about link, battery, estimate and pilot are silent, as the log does not hold all of
what an autopilot said of itself.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from navstack.card import card_from_json
from navstack.commands.replay import Replay
from navstack.contract import ZERO_COMMAND, Frame, Limits, PolicyCard, VehicleState, VelocityCommand
from navstack.errors import InputError
from navstack.files import check_new_file, write_atomically
from navstack.log_format import (
    BROKEN,
    COMMAND,
    optional,
    picture,
    read_messages,
    read_metadata,
    refused,
    seconds,
)
from navstack.policy import OnnxPolicy
from navstack.safety import Guard, GuardConfig, guard_for
from navstack.safety.rule import guard_config
from navstack.settings import guard_numbers
from navstack.telemetry import ENGAGED

SAME = 1e-6  # m/s, rad/s: below, two commands are the same; times in a log are whole nanoseconds


@dataclass(slots=True)
class Turn:
    """One turn of the loop, as logged."""

    time: float  # s
    frame: Frame | None
    dt: float | None  # s that the policy was told
    command: VelocityCommand | None  # the policy's, where it saw a frame
    sent: VelocityCommand
    state: VehicleState
    begins: bool = False  # policy and guard began anew before it


@dataclass(slots=True)
class Log:
    """A flight log: what it says of its policy and guard, and its turns."""

    card: PolicyCard
    guard: GuardConfig | None
    turns: list[Turn] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)  # rule -> transitions
    cut: bool = False  # it was cut short by a kill, or is damaged, behind its last turn here


def read_log(path: Path) -> Log:
    """The log in a file; one that a kill cut short is read up to there.

    Raises InputError for a file that is no flight log.
    """
    log: Log | None = None
    pending: dict[str, Any] = {}
    try:
        log = _begin(read_metadata(path))
        for topic, message in read_messages(path):
            if topic == "/events":
                if message.name == "guard":
                    log.events[message.message.partition(":")[0]] += 1
                elif message.message == ENGAGED and log.turns:
                    log.turns[-1].begins = True  # events stand behind the turn that they came with
            else:
                pending[topic] = message
                if topic == "/velocity" and {"/sent", "/vehicle"} <= pending.keys():
                    log.turns.append(_turn(pending))
                    pending = {}
    except BROKEN as error:
        if log is None or not log.turns:
            raise refused(path, error) from error
        log.cut = True
    if log is None or not log.turns:
        raise InputError(f"{path}: the flight log holds no turn of a flight")
    return log


def _begin(metadata: dict[str, Any]) -> Log:
    guard = guard_config(json.loads(metadata["guard"])) if "guard" in metadata else None
    return Log(card_from_json(metadata["policy card"]), guard)


def _turn(messages: dict[str, Any]) -> Turn:
    pose, velocity, sent = messages["/vehicle"].pose, messages["/velocity"], messages["/sent"]
    time = seconds(sent)
    state = VehicleState(
        time,
        (pose.position.x, pose.position.y, pose.position.z),
        (velocity.x, velocity.y, velocity.z),
        (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w),
        (velocity.roll_rate, velocity.pitch_rate, velocity.yaw_rate),
        optional(velocity, "height"),
    )
    camera, command = messages.get("/camera"), messages.get("/command")
    frame = None if camera is None else Frame(picture(camera), seconds(camera))
    return Turn(
        time, frame, None if command is None else command.dt, None if command is None else _command(command),
        _command(sent), state,
    )  # fmt: skip


def _command(message: Any) -> VelocityCommand:
    return VelocityCommand(*(getattr(message, name) for name in COMMAND))


@dataclass(frozen=True, slots=True)
class Difference:
    """What another policy or guard would have done."""

    frames: int
    turns: int
    policy: dict[str, tuple[float, float]]  # component -> mean and largest difference of the policy's command
    sent: dict[str, tuple[float, float]]  # the same of what left the guard
    turns_that_differ: int
    last_difference: float | None  # s from the log's first turn to the last that differs
    events_then: dict[str, int]
    events_now: dict[str, int]


def compare(log: Log, policy: OnnxPolicy, guard: Guard) -> Difference:
    """Run the log's pictures through the policy and its commands through the guard."""
    policy.reset()
    guard.reset(log.turns[0].state)
    nominal, command = 1.0 / policy.card.rate_hz, ZERO_COMMAND
    newest, first = log.turns[0].time, True
    thought, left, events = [], [], Counter[str]()
    before = log.turns[0]
    for turn in log.turns:
        if turn.begins:  # which was right after the turn before
            policy.reset()
            guard.reset(before.state)
            newest, first, command = before.time, True, ZERO_COMMAND
        before = turn
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
    differ = np.flatnonzero((np.abs(np.array(left)) > SAME).any(axis=1))
    last = log.turns[differ[-1]].time - log.turns[0].time if len(differ) else None
    return Difference(
        len(thought), len(left), _summary(thought), _summary(left), len(differ), last, dict(log.events),
        dict(events),
    )  # fmt: skip


def _summary(rows: list[Any]) -> dict[str, tuple[float, float]]:
    size = np.abs(np.array(rows, np.float64).reshape(-1, 4))
    if not len(size):
        return dict.fromkeys(COMMAND, (0.0, 0.0))
    pairs = zip(size.mean(axis=0).tolist(), size.max(axis=0).tolist(), strict=True)
    return dict(zip(COMMAND, pairs, strict=True))


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
    if log.cut:
        seconds = log.turns[-1].time - log.turns[0].time
        print(f"{arguments.log}: read for {seconds:.1f} s, up to where it was cut short or is damaged")
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
    last = "" if found.last_difference is None else f", the last after {found.last_difference:.2f} s"
    lines.append(f"turns on which another command would have left: {found.turns_that_differ}{last}")
    rules = sorted({*found.events_then, *found.events_now})
    for rule in rules:
        then, now = found.events_then.get(rule, 0), found.events_now.get(rule, 0)
        lines.append(f"  {rule}: {then} transitions in the log, {now} now")
    return "\n".join(lines)
