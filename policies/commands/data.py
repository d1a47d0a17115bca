"""`navstack data`: episodes to and from other projects' data sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Export:
    """Write a folder of episodes as a LeRobotDataset or a Minari data set."""

    episodes: Annotated[Path, tyro.conf.Positional]
    """Folder of episodes: of a collection, or episodes/ of a training run."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder of the data set; it must be new."""
    format: str = "lerobot"
    """lerobot (LeRobotDataset v3.0) or minari."""

    def __call__(self) -> int:
        """Write it."""
        from navstack.policies.exchange.command import export_episodes

        return export_episodes(self)


@dataclass(frozen=True)
class Import:
    """Read a LeRobotDataset or a Minari data set into episodes, for train --demonstrations."""

    source: Annotated[Path, tyro.conf.Positional]
    """Folder of the data set."""
    out: Annotated[Path, tyro.conf.Positional]
    """Folder for the episodes; it must be new."""
    format: str = "lerobot"
    """lerobot (LeRobotDataset v3.0) or minari."""

    def __call__(self) -> int:
        """Read it."""
        from navstack.policies.exchange.command import import_episodes

        return import_episodes(self)


@dataclass(frozen=True)
class Data:
    """Exchange episodes with other projects: LeRobotDataset and Minari."""

    do: tyro.conf.OmitArgPrefixes[
        Annotated[Export, tyro.conf.subcommand("export", prefix_name=False)]
        | Annotated[Import, tyro.conf.subcommand("import", prefix_name=False)]
    ]
    """What to do."""

    def __call__(self) -> int:
        """Do it."""
        return self.do()
