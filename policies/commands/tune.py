"""`navstack tune`: which settings, and how many neurons, a task needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tune:
    """Tune a network: trials are training runs, the worse ones pruned, judged in dev worlds.

    Searched are the number of neurons, the wiring's sparsity, an LTC's solver and its steps, learning rate
    and weight decay. In the end the best trial of each size flies fresh dev flights: curve.png answers how
    many neurons the task needs, best.json is the configuration for navstack train --config. An interrupted
    study goes on when the same command is given again, with more --trials too.
    """

    out: Path
    """Folder of the study: new, empty, or an interrupted study."""
    env: str = "FlyToTarget"
    """Task to learn."""
    network: str = "cfc-strict"
    """Network by name: cfc-strict, cfc-ncps, ltc-ncp, lstm or gru."""
    neurons: tuple[int, ...] = (16, 32, 64, 128)
    """Sizes to choose between; each is tried at least once."""
    trials: int = 20
    """Trials in the end, pruned ones included."""
    jobs: int = 1
    """Processes that run trials side by side."""
    expert_episodes: int = 120
    """Expert flights that every trial learns from; they are flown once."""
    dagger_episodes: tuple[int, ...] = (40,)
    """Flights of each DAgger round of a trial."""
    steps: tuple[int, ...] = (500, 400)
    """Gradient steps of a trial after the expert's flights and after each DAgger round."""
    dev_episodes: int = 12
    """Flights in each dev world after each round: what trials are judged by."""
    curve_episodes: int = 50
    """Fresh flights in each dev world of the best trial of each size."""
    threads: int = 1
    """Threads that compute in each trial."""
    seed: int = 0
    """Seed of everything random."""

    def __call__(self) -> int:
        """Run the study."""
        from navstack.policies.tuning.command import run_tune

        return run_tune(self)
