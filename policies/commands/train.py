"""`navstack train`: from nothing to a policy file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Train:
    """Train a policy by imitation: collect, clone, DAgger, choose, export.

    The folder OUT holds everything: episodes, checkpoints, learning curves (metrics.jsonl and TensorBoard)
    and, in the end, policy.onnx. Given again after an interruption of any kind, the same command goes on
    where it stopped and arrives at the same policy. Started by torchrun, several processes learn together:
    torchrun --nproc-per-node 2 -m navstack train --out OUT
    """

    out: Path
    """Folder of the run: new, empty, or an interrupted run of the same configuration."""
    env: str | None = None
    """Task to learn, instead of the preset's (FlyToTarget)."""
    preset: str = "quick"
    """How much: quick (under 10 minutes on 2 cores) or full (the policies that ship)."""
    config: Path | None = None
    """Configuration file instead of a preset: the run.json of a run, or what navstack tune wrote."""
    network: str | None = None
    """Network by name, instead of the preset's (cfc-strict); navstack networks lists them. Or the path of a
    wiring file, which becomes a strict CfC."""
    task_option: tuple[str, ...] | None = None
    """The task's parameters, each as name=value, for instance distance=2 (docs/tasks.md)."""
    world: tuple[str, ...] | None = None
    """Worlds to learn in, flown in turn, instead of the preset's (meadow mosaic studio forest mosaic studio);
    one that is named twice is flown twice as often. Dev and held-out worlds are refused."""
    dev_world: tuple[str, ...] | None = None
    """Worlds in which the best round is chosen, instead of the preset's (park farmland barn bazaar)."""
    seed: int | None = None
    """Seed of everything random, instead of the preset's (0)."""
    workers: int = 0
    """Processes that fly; 0 for one a core. Does not change the result."""
    threads: int = 0
    """Threads that compute, over all processes; 0 for one a core. Belongs to the run: it is resumed with the
    same number only."""
    accelerator: str = "cpu"
    """Where gradients are computed, by Lightning Fabric's name: cpu, cuda, auto."""
    precision: str = "32-true"
    """Of the convolutions while learning: 32-true, or bf16-mixed on a GPU."""
    backend: str | None = None
    """What computes the core while learning, instead of the preset's (torch): torch, or numba, faster on a
    CPU (pip install 'navstack[fast]'). Belongs to the run: results differ in the last digits."""
    expert_episodes: int | None = None
    """Expert flights, instead of the preset's."""
    dagger_episodes: tuple[int, ...] | None = None
    """Flights of each DAgger round, instead of the preset's; the number of values is the number of rounds."""
    steps: tuple[int, ...] | None = None
    """Gradient steps after the expert's flights and after each DAgger round, instead of the preset's."""
    dev_episodes: int | None = None
    """Flights in each dev world after each round, instead of the preset's."""
    demonstrations: Path | None = None
    """Folder of episodes to learn from instead of the expert's flights (navstack collect, navstack data)."""
    learning_rate: float | None = None
    """Peak of the first round, instead of the preset's; the later rounds' is lowered in proportion."""
    memory: float | None = None
    """Longest time constant in s that the neurons begin with (docs/memory.md); 0 for weights as drawn."""
    patience: int | None = None
    """Rounds without a better dev success after which the run ends; 0 to do all."""

    def __call__(self) -> int:
        """Run the training."""
        from navstack.policies.imitation.command import run_train

        return run_train(self)
