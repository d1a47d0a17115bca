"""What `navstack data` does with its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from navstack.episodes import Episode, episode_keys, episode_path, load_episode, save_episode
from navstack.errors import InputError, nearest
from navstack.policies.exchange.folders import whole_folder
from navstack.policies.exchange.lerobot import read_lerobot, write_lerobot
from navstack.policies.exchange.minari_data import read_minari, write_minari

if TYPE_CHECKING:
    from navstack.policies.commands.data import Export, Import


class Format(NamedTuple):
    """How a data set is written and read."""

    write: Callable[[Path, Iterator[Episode], Callable[[], None]], None]
    read: Callable[[Path], Iterator[Episode]]


FORMATS: dict[str, Format] = {
    "lerobot": Format(write_lerobot, read_lerobot),
    "minari": Format(write_minari, read_minari),
}
"""Formats by name. A new one is one line here."""


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"format '{name}' not found{nearest(name, FORMATS)} (formats: {', '.join(FORMATS)})")
    return FORMATS[name]


def export_episodes(arguments: Export) -> int:
    """Write a folder of episodes in another format. Raises InputError before anything is left behind."""
    from navstack.policies.imitation.report import live_bar

    form, console = _format(arguments.format), Console()
    keys = episode_keys(arguments.episodes)
    if not keys:
        raise InputError(f"{arguments.episodes} holds no episodes; give the folder episodes/ of a run")
    done = 0
    with whole_folder(arguments.out) as folder, live_bar(console, "writing", len(keys)) as bar:

        def count() -> None:
            nonlocal done
            done += 1
            bar.show(done, "")

        form.write(folder, (load_episode(episode_path(arguments.episodes, *key)) for key in keys), count)
    console.print(f"{arguments.out}: {len(keys)} episodes as {arguments.format}", highlight=False)
    return 0


def import_episodes(arguments: Import) -> int:
    """Read a data set of another format into a folder of episodes. Raises InputError as `export_episodes`."""
    form, console, count = _format(arguments.format), Console(), 0
    if not arguments.source.is_dir():
        raise InputError(f"{arguments.source} is no folder; give that of a data set")
    with whole_folder(arguments.out) as folder, console.status("reading") as status:
        for count, episode in enumerate(form.read(arguments.source), start=1):
            save_episode(folder, episode)
            status.update(f"reading: {count} episodes")
        if not count:
            raise InputError(f"{arguments.source} holds no episodes")
    console.print(f"{arguments.out}: {count} episodes from {arguments.format}", highlight=False)
    return 0
