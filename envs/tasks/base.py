"""What a flight task is: where things start, what the goal is, when it is won or lost.

A task lives over flat ground. Every height in its scenario, and every height that its judge, its expert and
its progress are told, is above the local ground: the simulator puts starts and targets onto the world's
terrain and takes the ground's height off what it reports (`Simulator.above_ground`). A task that moves bodies
itself puts them at `Scene.ground_height(x, y)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.worlds.layout import Layout
from navstack.envs.worlds.spec import WorldSpec


@dataclass(frozen=True, slots=True)
class Scenario:
    """One exact task: the start of a flight and what it must reach."""

    layout: Layout
    position_enu: Vector3  # m, start of the vehicle; heights are above the local ground
    yaw: float  # rad
    target_enu: Vector3  # m, centre of the target
    start_distance: float  # m, horizontal
    time_limit: float  # s


class Judge(Protocol):
    """Decides from the true state, at physics rate, how a flight ends."""

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """The outcome, or None while the flight goes on. Collisions are seen by the simulator."""
        ...


class Expert(Protocol):
    """A privileged controller: it sees the true state, never the image."""

    def command(self, state: VehicleState) -> VelocityCommand:
        """What a good pilot would fly from here."""
        ...


class Task(Protocol):
    """One kind of flight."""

    name: str
    mirrors: (
        bool  # whether the expert flies a mirrored world in the mirrored way: then pictures may be mirrored
    )

    def scenario(
        self, spec: WorldSpec, rng: np.random.Generator, difficulty: float, anywhere: bool = False
    ) -> Scenario:
        """Draw one exact task for a world; `anywhere` begins it wherever a flight may get, to learn."""
        ...

    def judge(self, scenario: Scenario) -> Judge:
        """Who decides this flight."""
        ...

    def expert(self, scenario: Scenario) -> Expert:
        """Who demonstrates this flight."""
        ...

    def progress(self, scenario: Scenario, position: Vector3) -> float:
        """How far the vehicle still is from success, in metres: the reward is its decrease."""
        ...
