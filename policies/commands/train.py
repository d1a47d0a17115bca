"""`navstack train`: from nothing to a policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Train:
    """Train a policy by imitation: collect, clone, DAgger, choose, export.

    The folder OUT holds everything: episodes, checkpoints, learning curves (metrics.jsonl and TensorBoard)
    and, in the end, policy.onnx. Given again after an interruption of any kind, the same command goes on
    where it stopped and arrives at the same policy.
    """

    out: Path
    """Folder of the run: new, empty, or an interrupted run of the same configuration."""
    env: str = "FlyToTarget"
    """Task to learn."""
    preset: str = "quick"
    """How much: quick (under 10 minutes on 2 cores) or full (the policies that ship)."""
    network: str = "cfc-strict"
    """Network by name: cfc-strict, or another that `navstack networks` lists."""
    task_option: tuple[str, ...] = ()
    """The task's parameters, each as name=value, for instance distance=2 (docs/tasks.md)."""
    world: tuple[str, ...] = ("meadow", "mosaic", "studio", "forest", "mosaic", "studio")
    """Worlds to learn in, flown in turn; one that is named twice is flown twice as
    often. Dev and held-out worlds are refused."""
    dev_world: tuple[str, ...] = ("park", "farmland", "barn", "bazaar")
    """Worlds in which the best round is chosen."""
    seed: int = 0
    """Seed of everything random."""
    workers: int = 0
    """Processes that fly; 0 for one a core. Does not change the result."""
    threads: int = 0
    """Threads that compute; 0 for one a core. Belongs to the run: it is resumed with the same number only."""
    accelerator: str = "cpu"
    """Where gradients are computed, by Lightning Fabric's name: cpu, cuda, auto."""
    expert_episodes: int | None = None
    """Expert flights, instead of the preset's."""
    dagger_episodes: tuple[int, ...] | None = None
    """Flights of each DAgger round, instead of the preset's; the number of values is the number of rounds."""
    steps: tuple[int, ...] | None = None
    """Gradient steps after the expert's flights and after each DAgger round, instead of the preset's."""
    dev_episodes: int | None = None
    """Flights in each dev world after each round, instead of the preset's."""

    def __call__(self) -> int:
        """Run the training."""
        from navstack.policies.imitation.command import run_train

        return run_train(self)
