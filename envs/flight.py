"""The simulator as camera, vehicle and clock of the closed loop, in lock-step: waiting advances physics."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from navstack.contract import CameraSpec, Frame, Image, VehicleState, VelocityCommand
from navstack.envs.simulator import PHYSICS_HZ, Simulator


class SimulatedFlight:
    """One flight in simulation: implements `Clock`, `FrameSource` and `Vehicle` of `navstack.flight`."""

    def __init__(self, simulator: Simulator, picture: Callable[[], Image]) -> None:
        self.simulator = simulator
        self._picture = picture
        self._latency = round(simulator.timing.latency * PHYSICS_HZ)  # physics steps
        self._under_way: deque[tuple[int, Frame]] = deque()  # physics step of arrival, frame

    @property
    def finished(self) -> bool:
        """Whether the judge has decided."""
        return self.simulator.outcome is not None

    @property
    def outcome(self) -> str | None:
        """How the flight ended, or None while it goes on."""
        return self.simulator.outcome

    @property
    def world(self) -> str:
        """Name of the world."""
        return self.simulator.spec.name

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.simulator.task.name

    @property
    def camera(self) -> CameraSpec:
        """What the camera is."""
        return self.simulator.camera_spec

    def now(self) -> float:
        """Seconds since the flight began."""
        return self.simulator.time

    def wait(self, deadline: float) -> Frame | None:
        """Advance until the next frame arrives, `deadline` is reached or the flight is decided."""
        return self._wait(math.ceil(deadline * PHYSICS_HZ - 1e-6))

    def _wait(self, last_step: int) -> Frame | None:
        simulator, under_way = self.simulator, self._under_way
        while True:
            if under_way and under_way[0][0] <= simulator.steps:
                return under_way.popleft()[1]
            due = min(simulator.next_frame_step, under_way[0][0] if under_way else simulator.next_frame_step)
            if due > last_step:
                break
            simulator.advance(due)
            if self.finished:
                return None
            if simulator.next_frame_step == due:
                arrives = simulator.next_frame_arrives
                simulator.schedule_frame()
                if arrives:
                    under_way.append((due + self._latency, Frame(self._picture(), simulator.time)))
        simulator.advance(last_step)
        return None

    def hand_back(self, frame: Frame) -> None:
        """Let the next `wait` return this frame again."""
        self._under_way.appendleft((self.simulator.steps, frame))

    def next_frame(self) -> Frame:
        """Advance until a frame arrives; at the end of the flight the picture of its last instant."""
        while not self.finished:
            frame = self._wait(self.simulator.next_frame_step)
            if frame is not None:
                return frame
        return Frame(self._picture(), self.simulator.time)

    def state(self) -> VehicleState:
        """The true state."""
        return self.simulator.state()

    def send(self, command: VelocityCommand) -> None:
        """Fly this velocity until the next command."""
        self.simulator.command = command

    def expert_command(self) -> VelocityCommand:
        """What the expert would fly from the true state."""
        return self.simulator.expert_command()


def connect(*, env: str, world: str, seed: int, rate_hz: float = 20.0) -> SimulatedFlight:
    """A simulated vehicle for `navstack fly`: the task and world by name, one seed, at its start."""
    from navstack.envs.navigation import NavigationEnv
    from navstack.timing import FrameTiming

    environment = NavigationEnv(
        task=env,
        world=world,
        purpose="evaluate",
        timing=FrameTiming(rate_hz=rate_hz),
    )
    environment.reset(seed=seed)
    return environment.flight()
