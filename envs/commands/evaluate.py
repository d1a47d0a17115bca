"""`navstack evaluate`: fly an exported policy through unseen worlds and say how it did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Evaluate:
    """Fly an exported policy through worlds and print its success rates with their intervals.

    Success is judged from the true state. Each world is flown with the seeds SEED to SEED + EPISODES - 1, so
    two policies, or two conditions, can be compared flight by flight. The result does not depend on the
    number of workers.
    """

    policy: Annotated[str, tyro.conf.Positional]
    """Path of a policy.onnx, or the name of a policy that ships with navstack."""
    world: tuple[str, ...] = ("autumn", "winter", "urban", "warehouse")
    """Worlds by name or by path of a world file."""
    episodes: int = 100
    """Flights in each world."""
    seed: int = 1000
    """Seed of the first flight in each world."""
    env: str = "FlyToTarget"
    """Task to fly."""
    other_task: bool = False
    """Fly a policy that was trained for another task; without this it is refused. Table and page say so."""
    task_option: tuple[str, ...] = ()
    """The task's parameters, each as name=value, for instance distance=2 (docs/tasks.md)."""
    airframe: str = ""
    """Airframe by name or path; empty for the default one."""
    difficulty: float = 1.0
    """0 to 1, as the task defines it."""
    rate: float = 20.0
    """Camera frames per second."""
    drop: float = 0.0
    """Probability with which each frame is lost."""
    jitter: float = 0.0
    """Each frame interval is scaled by a draw from 1 - JITTER to 1 + JITTER."""
    perturb: tuple[str, ...] = ()
    """Imperfections, each as name:severity, for instance rain:3 (navstack perturbations lists them)."""
    guard: bool = True
    """Fly with the guard between policy and vehicle."""
    workers: int = 2
    """Processes that fly."""
    json: Path | None = None
    """Write the rows of the table here."""
    video: Path | None = None
    """Write a film of the first flight in each world here (MP4)."""
    report: Path | None = None
    """Write one self-contained HTML page here."""
    metrics: Path | None = None
    """metrics.jsonl of a training run, whose learning curves the page shows."""

    def __call__(self) -> int:
        """Run the evaluation."""
        from navstack.envs.evaluation.command import run

        return run(self)
