"""The closed loop: camera, policy, guard, vehicle. Judging in simulation and flying a drone are this loop.

Only the camera, the vehicle and the clock are exchanged. Nothing here reads a clock by itself: in simulation
waiting for a frame is what advances the physics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from navstack.contract import ZERO_COMMAND, Frame, Image, PolicyCard, VehicleState, VelocityCommand
from navstack.safety import Demand, Guard, GuardDecision, GuardEvent, VehicleHealth


class Policy(Protocol):
    """What turns frames into commands. `OnnxPolicy` is the one that flies; experts and mixtures share it."""

    @property
    def card(self) -> PolicyCard:
        """What the policy expects and promises."""
        ...

    def reset(self) -> None:
        """Forget everything seen: the next frame is the first."""
        ...

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """The command for a frame, `dt` seconds after the previous frame that the policy saw."""
        ...


class Clock(Protocol):
    """The flight loop's only source of time."""

    def now(self) -> float:
        """Seconds since an arbitrary, fixed instant; never goes back."""
        ...


class FrameSource(Protocol):
    """Where frames come from; the newest wins and there is no queue."""

    def wait(self, deadline: float) -> Frame | None:
        """The newest frame not yet returned, waiting for one until `deadline`; None where none came."""
        ...


class Vehicle(Protocol):
    """What flies."""

    def state(self) -> VehicleState:
        """The newest state that the vehicle reported."""
        ...

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity until the next command."""
        ...


class Autopilot(Vehicle, Protocol):
    """A vehicle that reports on itself and flies modes of its own."""

    def health(self) -> VehicleHealth:
        """What it says of itself, with ages as of now."""
        ...

    def obey(self, demand: Demand, cause: str) -> None:
        """Do what the guard wants besides the command. Called at every turn on which it wants it."""
        ...


@dataclass(frozen=True, slots=True)
class Tick:
    """One turn of the loop, for whoever watches it."""

    time: float  # s, on the flight loop's clock
    frame: Frame | None  # None where no new frame had come
    dt: float | None  # s that the policy was told, None where it saw no frame
    command: VelocityCommand  # the policy's newest
    sent: VelocityCommand  # what the guard let through
    state: VehicleState
    events: tuple[GuardEvent, ...]  # what the guard changed its mind about
    demand: Demand = Demand.FLY  # what the guard asked of the autopilot
    latency: float = 0.0  # s from the frame's arrival, or this turn's beginning, until the command left
    late: bool = False  # the command left later than a period after the one before


@dataclass(slots=True)
class FlightSummary:
    """Counts of one flight."""

    ticks: int = 0
    frames: int = 0
    skipped_frames: int = 0  # not newer than the one before
    policy_resets: int = 0  # after a second without frames
    missed_deadlines: int = 0  # commands that left over 5 ms later than a period after the one before
    rechecks: int = 0  # commands that were old before they left, and were guarded again
    events: Counter[str] = field(default_factory=Counter)  # guard rule -> transitions
    demand: Demand = Demand.FLY  # the highest that the guard had


FORGET_AFTER = 1.0  # s without frames, after which the policy's memory is of another place
SLOWEST_GUARD = 0.05  # s between two turns of the guard at most
RECHECK_AFTER = 0.1  # s between looking at the vehicle and sending, after which one looks again
LATE = 0.005  # s over the period that count as a missed deadline


class Loop:
    """The closed loop, turn by turn. `fly` runs it to the end.

    The guard also runs when no frame comes, at least every 50 ms. A frame that is not newer than the one
    before (duplicated, out of order) is not shown to the policy. Without a guard the policy's command is sent
    as it is. `autopilot` is the vehicle once more, where it reports on itself.
    """

    def __init__(
        self,
        policy: Policy,
        guard: Guard | None,
        camera: FrameSource,
        vehicle: Vehicle,
        clock: Clock,
        *,
        autopilot: Autopilot | None = None,
        ground: float = 0.0,
    ) -> None:
        self._policy, self._guard, self._camera = policy, guard, camera
        self._vehicle, self._clock, self._autopilot = vehicle, clock, autopilot
        self._nominal = 1.0 / policy.card.rate_hz
        self._period = min(self._nominal, SLOWEST_GUARD)
        self.summary = FlightSummary()
        self.engage(ground)

    def engage(self, ground: float = 0.0) -> None:
        """Begin here, knowing nothing of before. `ground` is the height of take-off (m, ENU)."""
        self._policy.reset()
        if self._guard is not None:
            self._guard.reset(self._vehicle.state(), ground)
        self._command, self._first = ZERO_COMMAND, True
        self._newest = self._sent_at = self._clock.now()  # capture time of the newest frame that was shown

    @property
    def guard_actions(self) -> dict[str, str]:
        """What the guard is doing, rule by rule."""
        return {} if self._guard is None else self._guard.actions

    def turn(self, finished: Callable[[], bool] = lambda: False) -> Tick | None:
        """Wait for a frame, at most one period; one command. None where `finished` while waiting."""
        began = self._clock.now()
        frame = self._camera.wait(began + self._period)
        if finished():
            return None
        arrived = self._clock.now()
        frame, dt = self._show(frame)
        decision, state, now = self._decide(frame)
        if self._clock.now() - now > RECHECK_AFTER:  # the process stood still in between
            self.summary.rechecks += 1
            again, state, now = self._decide(None)
            decision = again._replace(events=decision.events + again.events)
        self._vehicle.send(decision.command)
        if self._autopilot is not None and decision.demand > Demand.FLY:
            self._autopilot.obey(decision.demand, self._cause())
        left = self._clock.now()
        late = left - self._sent_at > self._period + LATE
        self._sent_at = left
        self._count(decision, late)
        return Tick(
            now, frame, dt, self._command, decision.command, state, decision.events, decision.demand,
            left - arrived, late,
        )  # fmt: skip

    def _show(self, frame: Frame | None) -> tuple[Frame | None, float | None]:
        """Let the policy see a frame that is newer: the frame and the dt that it was told."""
        if frame is None:
            return None, None
        if not self._first and frame.capture_time <= self._newest:
            self.summary.skipped_frames += 1
            return None, None
        if frame.capture_time - self._newest > FORGET_AFTER:
            self._policy.reset()
            self._first = True
            self.summary.policy_resets += 1
        dt = self._nominal if self._first else frame.capture_time - self._newest
        self._command = self._policy.step(frame.image, dt)
        self._newest, self._first = frame.capture_time, False
        self.summary.frames += 1
        return frame, dt

    def _decide(self, frame: Frame | None) -> tuple[GuardDecision, VehicleState, float]:
        health = None if self._autopilot is None else self._autopilot.health()
        now, state = self._clock.now(), self._vehicle.state()
        if self._guard is None:
            return GuardDecision(self._command, ()), state, now
        uncertainty: float | None = getattr(self._policy, "uncertainty", None)
        decision = self._guard.apply(
            self._command, now - self._newest, state, now,
            frame=frame, uncertainty=uncertainty, health=health,
        )  # fmt: skip
        return decision, state, now

    def _cause(self) -> str:
        return ", ".join(f"{rule}: {action}" for rule, action in self.guard_actions.items())

    def _count(self, decision: GuardDecision, late: bool) -> None:
        summary = self.summary
        summary.ticks += 1
        summary.missed_deadlines += late
        summary.events.update(event.rule for event in decision.events)
        summary.demand = max(summary.demand, decision.demand)


def fly(
    policy: Policy,
    guard: Guard | None,
    camera: FrameSource,
    vehicle: Vehicle,
    clock: Clock,
    *,
    finished: Callable[[], bool],
    observers: Sequence[Callable[[Tick], None]] = (),
) -> FlightSummary:
    """Fly until `finished`: each frame through the policy, each command through the guard (see `Loop`)."""
    loop = Loop(policy, guard, camera, vehicle, clock)
    while not finished():
        tick = loop.turn(finished)
        if tick is None:
            break
        for observer in observers:
            observer(tick)
    return loop.summary
