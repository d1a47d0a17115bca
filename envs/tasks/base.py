"""What a flight task is: where things start, what the goal is, when it is won or lost.

A task lives over flat ground. Every height in its scenario, and every height that its judge and its expert
are told, is above the local ground: the simulator puts starts and targets onto the terrain and takes the
ground's height off what it reports (`Simulator.above_ground`).

A task is a frozen dataclass whose fields are its parameters, each a float, an int, a bool or a str. Whatever
changes during one flight (which target comes next, where it is now) is kept by that flight's judge; its
expert and its scenery look there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from navstack.contract import Vector3, VehicleState, VelocityCommand
from navstack.envs.stage import Stage
from navstack.envs.worlds.layout import Layout
from navstack.envs.worlds.spec import WorldSpec


@dataclass(frozen=True, slots=True)
class Scenario:
    """One exact task: the start of a flight and what it must reach."""

    layout: Layout
    position_enu: Vector3  # m, start of the vehicle; heights are above the local ground
    yaw: float  # rad
    target_enu: Vector3  # m, centre of the target; of the first one, as it is at the start
    start_distance: float  # m, horizontal
    time_limit: float  # s
    plan: object = None  # what else the task's own roles have to know


class Judge(Protocol):
    """Decides from the true state, at physics rate, how a flight ends, and knows how far it has come."""

    @property
    def target_enu(self) -> Vector3:
        """Centre (m) of what is to be reached now."""
        ...

    def update(self, time: float, position: Vector3, velocity: Vector3, yaw: float) -> str | None:
        """The outcome, or None while the flight goes on. Collisions are seen by the simulator."""
        ...

    def remaining(self, position: Vector3) -> float:
        """How far the vehicle still is from success, in metres: the reward is its decrease."""
        ...

    def report(self) -> dict[str, float]:
        """Figures besides the outcome, by name, for `info` and the result rows; mostly none."""
        ...


class Expert(Protocol):
    """A privileged controller: it sees the true state, never the image."""

    def command(self, state: VehicleState) -> VelocityCommand:
        """What a good pilot would fly from here."""
        ...


class Scenery(Protocol):
    """What acts besides the vehicle: a function of time and of the true state, and of nothing else."""

    def act(self, time: float, stage: Stage) -> VelocityCommand | None:
        """Set the stage for the physics step that ends at `time` s; called for 0 before the first frame.

        Returns a disturbance: the velocity that the vehicle is made to fly in this step instead of the one
        that it was commanded; None where the command holds.
        """
        ...


@dataclass(frozen=True, slots=True)
class Roles:
    """Who takes part in one flight."""

    judge: Judge
    expert: Expert
    scenery: Scenery | None = None  # None where nothing but the vehicle acts


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

    def roles(self, scenario: Scenario) -> Roles:
        """Who decides, who demonstrates and what acts in this flight."""
        ...


@runtime_checkable
class Paired(Protocol):
    """A task whose flights come in mirrored pairs: seeds 2k and 2k + 1 draw the same world and start."""

    def mirrored(self, scenario: Scenario) -> Scenario:
        """The scenario of seed 2k + 1, from that of seed 2k."""
        ...
