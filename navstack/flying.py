"""What `navstack fly` does with its arguments."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from navstack import plugins
from navstack.commands.fly import Fly
from navstack.contract import (
    ZERO_COMMAND,
    CameraSpec,
    Frame,
    Image,
    PolicyCard,
    VehicleState,
    VelocityCommand,
)
from navstack.files import check_new_file, write_atomically
from navstack.flight import Clock, FlightSummary, FrameSource, Tick, Vehicle, fly
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder
from navstack.results import SUCCESS
from navstack.safety import Guard, guard_for

VEHICLES = "navstack.vehicles"
LATE = 0.005  # s behind the wall clock that counts as a missed deadline


class Session(Clock, FrameSource, Vehicle, Protocol):
    """Camera, vehicle and clock of one flight that ends by itself."""

    @property
    def finished(self) -> bool:
        """Whether the flight is decided."""
        ...

    @property
    def outcome(self) -> str | None:
        """How it ended."""
        ...

    @property
    def camera(self) -> CameraSpec:
        """What the camera is."""
        ...

    @property
    def task(self) -> str:
        """Name of the task."""
        ...


class RealTime:
    """A simulated session held to the wall clock: a frame is handed over no earlier than it was taken."""

    def __init__(
        self, session: Session, clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._session, self._clock, self._sleep = session, clock, sleep
        self._started = clock() - session.now()
        self.missed = 0  # deadlines, by more than LATE

    def now(self) -> float:
        """Seconds of flight."""
        return self._session.now()

    def wait(self, deadline: float) -> Frame | None:
        """The session's next frame, at its time on the wall clock."""
        frame = self._session.wait(deadline)
        ahead = self._session.now() - (self._clock() - self._started)
        if ahead > 0.0:
            self._sleep(ahead)
        elif ahead < -LATE:
            self.missed += 1
        return frame

    def state(self) -> VehicleState:
        """The session's."""
        return self._session.state()

    def send(self, command: VelocityCommand) -> None:
        """The session's."""
        self._session.send(command)


class TimedPolicy:
    """A policy that notes how long each of its steps took."""

    def __init__(self, policy: OnnxPolicy) -> None:
        self._policy = policy
        self.seconds: list[float] = []

    @property
    def card(self) -> PolicyCard:
        """The policy's."""
        return self._policy.card

    def reset(self) -> None:
        """The policy's."""
        self._policy.reset()

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """The policy's, timed."""
        started = time.perf_counter()
        command = self._policy.step(image, dt)
        self.seconds.append(time.perf_counter() - started)
        return command


def run(arguments: Fly) -> int:
    """Fly once, print how it went; 0 for success, 1 for any other end. Raises InputError before it flies."""
    check_new_file(arguments.json)
    check_new_file(arguments.log)
    policy = OnnxPolicy.load(arguments.policy)
    policy.check_task(arguments.env)
    entry = plugins.choose(VEHICLES, arguments.vehicle, "vehicle")
    with plugins.naming_extras(entry):
        session: Session = plugins.load(entry)(
            env=arguments.env, world=arguments.world, seed=arguments.seed, rate_hz=arguments.rate
        )
    policy.check_camera(session.camera)
    paced = RealTime(session) if arguments.real_time else None
    timed = TimedPolicy(policy)
    guard = guard_for(policy.card) if arguments.guard else None
    with _recorder(arguments.log, policy.card, guard) as observers:
        flown = paced or session
        try:
            summary = fly(
                timed, guard, flown, flown, flown, finished=lambda: session.finished, observers=observers
            )
        finally:
            session.send(ZERO_COMMAND)
    _report(arguments, session, summary, timed, paced)
    return 0 if session.outcome == SUCCESS else 1


@contextlib.contextmanager
def _recorder(
    path: Path | None, card: PolicyCard, guard: Guard | None
) -> Iterator[list[Callable[[Tick], None]]]:
    if path is None:
        yield []
        return
    recorder = FlightRecorder(path, card, guard=None if guard is None else guard.config)
    try:
        yield [recorder]
    finally:
        recorder.close()


def _report(
    arguments: Fly, session: Session, summary: FlightSummary, timed: TimedPolicy, paced: RealTime | None
) -> None:
    p50, p99 = (1e3 * float(q) for q in np.quantile(timed.seconds or [0.0], (0.5, 0.99)))
    print(f"{session.outcome} after {session.now():.1f} s: {summary.frames} frames, {summary.ticks} commands")
    print(f"policy step: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    print(f"guard: {', '.join(f'{rule} {n}' for rule, n in summary.events.items()) or 'silent'}")
    if paced is not None:
        print(f"missed deadlines: {paced.missed} of {summary.ticks}")
    if arguments.log is not None:
        print(f"flight log: {arguments.log}")
    if arguments.json is not None:
        found = {
            "outcome": session.outcome, "seconds": session.now(), "frames": summary.frames,
            "guard_events": dict(summary.events), "policy_ms_p50": p50, "policy_ms_p99": p99,
            "missed_deadlines": paced.missed if paced else None,
        }  # fmt: skip
        write_atomically(arguments.json, (json.dumps(found, indent=1) + "\n").encode())
