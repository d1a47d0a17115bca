"""`navstack worlds`: list worlds, picture them, begin and check world files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class List:
    """List the library's worlds."""

    def __call__(self) -> int:
        """Print the table."""
        from navstack.envs.worlds.command import list_worlds

        return list_worlds()


@dataclass(frozen=True)
class Preview:
    """Write a contact sheet of each world: the policy's camera and a chase camera, for several seeds."""

    worlds: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Worlds by name or by path of a world file; all of the library's when none is given."""
    out: Path = Path("worlds-preview")
    """Folder for the sheets; it must be new or empty."""
    seed: int = 0
    """Seed of the first draw of each world."""
    draws: int = 4
    """Exact worlds on each sheet."""

    def __call__(self) -> int:
        """Write the sheets."""
        from navstack.envs.worlds.command import preview

        return preview(self)


@dataclass(frozen=True)
class Schema:
    """Print the JSON schema of world files."""

    def __call__(self) -> int:
        """Print it."""
        from navstack.envs.worlds.command import print_schema

        return print_schema()


@dataclass(frozen=True)
class Check:
    """Check a world file: its fields, the files it names, and whether its objects find a place."""

    world: Annotated[str, tyro.conf.Positional]
    """Path of a world file, or a library world's name."""
    draws: int = 5
    """Exact worlds to build from it."""

    def __call__(self) -> int:
        """Say what is wrong, or that nothing is."""
        from navstack.envs.worlds.command import check

        return check(self)


@dataclass(frozen=True)
class New:
    """Write a world file to begin with, every section of it explained."""

    file: Annotated[Path, tyro.conf.Positional]
    """Where to, ending in .yaml; the world gets the file's name."""

    def __call__(self) -> int:
        """Write it."""
        from navstack.envs.worlds.command import new

        return new(self)


@dataclass(frozen=True)
class Worlds:
    """List the worlds of the library, picture them, begin and check world files.

    A world file is a distribution: a world file and a seed make one exact world. A world can be written by
    hand, as YAML, and used by its path wherever a world's name is taken.
    """

    do: tyro.conf.OmitArgPrefixes[
        Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
        | Annotated[Preview, tyro.conf.subcommand("preview", prefix_name=False)]
        | Annotated[Schema, tyro.conf.subcommand("schema", prefix_name=False)]
        | Annotated[Check, tyro.conf.subcommand("check", prefix_name=False)]
        | Annotated[New, tyro.conf.subcommand("new", prefix_name=False)]
    ] = field(default_factory=List)
    """What to do; without it, the worlds are listed."""

    def __call__(self) -> int:
        """Do it."""
        return self.do()
