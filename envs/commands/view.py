"""`navstack view`: a flight in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class View:
    """Show a flight live in a browser: camera, chase view, trajectory, commands of pilot and expert, outcome.

    With the path of an episode (r00_00000.safetensors) it shows that one, else it flies one in simulation at
    the pace of the wall clock. The page is Rerun's web viewer, reachable from this machine only, and stays
    until Ctrl-C.
    """

    episode: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="EPISODE")] = None
    """File of a recorded episode."""
    pilot: str = "expert"
    """Who flies: expert, or a policy by name or path."""
    env: str = "FlyToTarget"
    """Task."""
    task_option: tuple[str, ...] = ()
    """The task's parameters, each as name=value (docs/tasks.md)."""
    world: str = "meadow"
    """World by name or by path of a world file."""
    perturb: tuple[str, ...] = ()
    """Imperfections, each as name:severity."""
    seed: int = 0
    """Seed of the exact world."""
    rate: float = 20.0
    """Camera frames per second."""
    port: int = 9090
    """Port of the page; the flight's data comes through the one after it."""
    save: Path | None = None
    """Write a Rerun recording (.rrd) here instead of serving a page."""
    stay: bool = True
    """Serve the page until Ctrl-C, and not only until the flight is over."""

    def __call__(self) -> int:
        """Show it."""
        from navstack.envs.view.command import run

        return run(self)
