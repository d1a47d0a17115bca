"""Flights on an emulated autopilot in simulated time, with something that breaks on the way.

Everything between picture and motor is the real thing but the firmware: policy file, guard, mission, MAVLink
link, bytes on a wire, and the vehicle of the simulation under an autopilot that is EMULATED (see
`navstack.envs.sitl`). A fault begins at a time that is drawn; what must follow, and how soon, stands with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from navstack.autopilot.link import Authority, Firmware, LinkConfig
from navstack.autopilot.mavlink import MavlinkLink
from navstack.contract import Frame, Image, Limits, PolicyCard, VelocityCommand
from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl import EmulatedAutopilot, MemoryWire, SitlBody
from navstack.envs.sitl.wire import Fault as WireFault
from navstack.errors import InputError
from navstack.mission import Mission, MissionOptions
from navstack.policy import OnnxPolicy
from navstack.recorder import FlightRecorder
from navstack.safety import GuardConfig, guard_for
from navstack.telemetry import Note, Record

STEP = 0.01  # s of the autopilot
LIMITS = Limits(1.0, 1.0, 1.0, 0.5)  # what `navstack fly` flies with by default
FENCE, CEILING = 20.0, 10.0  # m
ENGAGED_WITHIN = 30.0  # s

CameraFault = Callable[[Frame, float], list[tuple[float, Frame]]]
"""What becomes of a frame taken at a time (s): the frames that arrive and when."""


def seen(frame: Frame, now: float) -> list[tuple[float, Frame]]:
    """It arrives at once."""
    return [(now, frame)]


class VirtualCamera:
    """The simulated camera, and the clock: waiting for a frame is what turns the autopilot and the world."""

    def __init__(self, autopilot: EmulatedAutopilot) -> None:
        self.autopilot = autopilot
        self.fault: CameraFault = seen
        self.schedule: list[tuple[float, Callable[[], None]]] = []
        self._under_way: list[tuple[float, Frame]] = []

    def now(self) -> float:
        """Simulated seconds."""
        return self.autopilot.body.now()

    def wait(self, deadline: float) -> Frame | None:
        """The newest frame that has arrived, turning the world until one has or `deadline` is reached."""
        while True:
            now = self.now()
            for entry in [entry for entry in self.schedule if entry[0] <= now]:
                self.schedule.remove(entry)
                entry[1]()
            arrived = [entry for entry in self._under_way if entry[0] <= now + 1e-9]
            if arrived:
                self._under_way = [entry for entry in self._under_way if entry[0] > now + 1e-9]
                return arrived[-1][1]
            if now >= deadline - 1e-9:
                return None
            for frame in self.autopilot.step(STEP):
                self._under_way += self.fault(frame, self.now())


class FaultyPolicy:
    """The policy, until told to answer with something that is no number."""

    def __init__(self, policy: OnnxPolicy) -> None:
        self._policy, self.broken = policy, False

    @property
    def card(self) -> PolicyCard:
        """The policy's."""
        return self._policy.card

    def reset(self) -> None:
        """The policy's."""
        self._policy.reset()

    def step(self, image: Image, dt: float) -> VelocityCommand:
        """The policy's, or no number."""
        command = self._policy.step(image, dt)
        return replace(command, forward=math.nan) if self.broken else command


@dataclass(slots=True)
class Told:
    """What the mission told, for the judgement, and its log."""

    recorder: FlightRecorder | None
    events: list[tuple[float, str, str]] = field(default_factory=list)  # time, rule or source, action or text
    failures: list[str] = field(default_factory=list)

    def __call__(self, record: Record) -> tuple[Note, ...]:
        """Note it, and write it as the recorder's process does."""
        self.events += [(event.time, event.rule, event.action) for event in record.tick.events]
        self.events += [(note.time, note.source, note.text) for note in record.notes]
        if self.recorder is None:
            return ()
        try:
            self.recorder.write(record)
        except InputError as error:
            self.recorder = None
            self.failures.append(str(error))
            return (Note(record.tick.time, "recorder", f"the recorder is gone: {error}", warning=True),)
        return ()


class Rig:
    """One flight with everything at hand that may break."""

    def __init__(
        self, environment: NavigationEnv, policy: OnnxPolicy, seed: int, firmware: Firmware, log: Path | None
    ) -> None:
        self.log, self.broken = log, False
        self.at_the_end: list[Callable[[], None]] = []
        self.rng = np.random.default_rng((seed, 7))
        self.body = SitlBody(environment, seed)
        self.wire = MemoryWire(self.body.now)
        self.autopilot = EmulatedAutopilot(self.body, firmware, [self.wire.vehicle])
        self.camera = VirtualCamera(self.autopilot)
        self.policy = FaultyPolicy(policy)
        self.link = MavlinkLink(self.wire.companion, self.camera, LinkConfig(engage="self"))
        self.told = Told(None if log is None else FlightRecorder(log, policy.card))
        config = GuardConfig(fence=FENCE, ceiling=CEILING, drift=0.1)
        self.mission = Mission(
            self.link, self.camera, self.camera, self.policy,
            lambda link_loss: guard_for(policy.card, replace(config, link_loss=link_loss), LIMITS),
            MissionOptions(offers=False), self.told,
        )  # fmt: skip

    @property
    def authority(self) -> Authority:
        """Who flies, as the link knows."""
        return self.link.status().authority

    def engage(self) -> None:
        """Connect and fly until in command. Raises InputError where that does not come about."""
        self.mission.connect()
        self.mission.begin()
        deadline = self.camera.now() + ENGAGED_WITHIN
        while not self.mission.vehicle.engaged:
            self.mission.turn()
            if self.camera.now() > deadline or self.body.crashed:
                raise InputError(f"not in command within {ENGAGED_WITHIN:g} s: {self.authority}")
        self.body.begin_task()

    def close(self) -> None:
        """End the log and what a fault left behind."""
        for end in self.at_the_end:
            end()
        if self.told.recorder is not None:
            self.told.recorder.close()

    def both_ways(self, fault: WireFault) -> None:
        """A fault of the wire in both directions."""
        self.wire.companion.fault = self.wire.vehicle.fault = fault

    def for_seconds(self, seconds: float, end: Callable[[], None]) -> None:
        """Call `end` so much later."""
        self.camera.schedule.append((self.camera.now() + seconds, end))
