"""`navstack collect`: expert flights, one file each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Collect:
    """Collect expert flights with disturbances, one safetensors file an episode.

    The same seed gives the same episodes, whatever the number of workers. An interrupted collection goes on
    where it stopped when the command is given again.
    """

    out: Path
    """Folder for the episodes."""
    pilot: Literal["expert", "keyboard"] = "expert"
    """Who flies: the expert, or you, with the keys of this terminal and in real time."""
    env: str = "FlyToTarget"
    """Task to fly."""
    task_option: tuple[str, ...] = ()
    """The task's parameters, each as name=value, for instance distance=2 (docs/tasks.md)."""
    world: tuple[str, ...] = ("meadow", "mosaic", "studio", "forest", "mosaic", "studio")
    """Worlds by name or by path of a world file, flown in turn. Dev and held-out worlds are refused."""
    episodes: int = 100
    """Number of episodes in the end, those already there included."""
    seed: int = 0
    """Seed of the whole collection."""
    workers: int = 2
    """Processes that fly."""
    cluster: str | None = None
    """Fly on this Ray cluster, host:port; every machine needs this package, and OUT must be one for all."""

    from_log: tuple[Path, ...] = ()
    """Instead of flying: make episodes of these flight logs (MCAP)."""
    label: str | None = None
    """With --from-log: learn what this policy would have commanded, not what was sent. Path or name."""

    def __call__(self) -> int:
        """Run the collection."""
        if self.from_log:
            from navstack.policies.imitation.logs import episodes_from_logs

            for path in episodes_from_logs(self.from_log, self.out, self.label):
                print(path)
            return 0
        from navstack.policies.imitation.command import run_collect

        return run_collect(self)
