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
from navstack.safety import Guard, GuardEvent


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


@dataclass(slots=True)
class FlightSummary:
    """Counts of one flight."""

    ticks: int = 0
    frames: int = 0
    skipped_frames: int = 0  # not newer than the one before
    policy_resets: int = 0  # after a second without frames
    events: Counter[str] = field(default_factory=Counter)  # guard rule -> transitions


FORGET_AFTER = 1.0  # s without frames, after which the policy's memory is of another place
SLOWEST_GUARD = 0.05  # s between two turns of the guard at most


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
    """Fly until `finished`: each frame goes through the policy, each command through the guard.

    The guard also runs when no frame comes, at least every 50 ms. A frame that is not newer than the one
    before (duplicated, out of order) is not shown to the policy. Without a guard the policy's command is sent
    as it is.
    """
    nominal = 1.0 / policy.card.rate_hz
    period = min(nominal, SLOWEST_GUARD)
    policy.reset()
    if guard is not None:
        guard.reset(vehicle.state())
    summary, command = FlightSummary(), ZERO_COMMAND
    newest = clock.now()  # capture time of the newest frame that the policy saw
    first = True
    while not finished():
        frame = camera.wait(clock.now() + period)
        if finished():
            break
        dt = None
        if frame is not None and not first and frame.capture_time <= newest:
            frame, summary.skipped_frames = None, summary.skipped_frames + 1
        if frame is not None:
            if frame.capture_time - newest > FORGET_AFTER:
                policy.reset()
                first, summary.policy_resets = True, summary.policy_resets + 1
            dt = nominal if first else frame.capture_time - newest
            command, newest, first = policy.step(frame.image, dt), frame.capture_time, False
            summary.frames += 1
        now, state = clock.now(), vehicle.state()
        sent, events = (command, ()) if guard is None else guard.apply(command, now - newest, state, now)
        vehicle.send(sent)
        summary.ticks += 1
        summary.events.update(event.rule for event in events)
        for observer in observers:
            observer(Tick(now, frame, dt, command, sent, state, events))
    return summary
