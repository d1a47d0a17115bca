"""Given episodes in place of the expert's flights: from `navstack collect`, or from another data set."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from navstack.episodes import episode_keys, episode_path, load_episode, save_episode
from navstack.errors import InputError
from navstack.policies.imitation.config import TrainConfig


def digest(folder: Path, count: int | None = None) -> tuple[str, int]:
    """SHA-256 over the first `count` episodes of a folder (all by default), and their number.

    Raises InputError where there are too few.
    """
    keys = episode_keys(folder)
    wanted = len(keys) if count is None else count
    if not keys or len(keys) < wanted:
        raise InputError(f"{folder} holds {len(keys)} episodes; {max(wanted, 1)} are needed")
    total = hashlib.sha256()
    for key in keys[:wanted]:
        total.update(hashlib.sha256(episode_path(folder, *key).read_bytes()).digest())
    return total.hexdigest(), wanted


def adopt(source: Path | None, episodes: Path, config: TrainConfig) -> None:
    """Copy the run's demonstrations into its folder as the flights of round 0; those already there stay.

    Raises InputError where some miss and no source is given, the source holds others than the run began
    with, or one is broken.
    """
    missing = [
        index for index in range(config.expert_episodes) if not episode_path(episodes, 0, index).exists()
    ]
    if not missing:
        return
    if source is None:
        raise InputError(
            f"{episodes} misses {len(missing)} of the run's demonstrations; give their folder once more"
        )
    found, _ = digest(source, config.expert_episodes)
    if found != config.demonstrations:
        raise InputError(f"{source} does not hold the episodes that the run was begun with")
    episodes.mkdir(exist_ok=True)
    keys = episode_keys(source)
    for index in missing:
        given = episode_path(source, *keys[index])
        episode = load_episode(given)
        if keys[index] == (0, index) and _linked(given, episode_path(episodes, 0, index)):
            continue
        save_episode(episodes, replace(episode, facts=replace(episode.facts, round=0, index=index)))


def _linked(source: Path, target: Path) -> bool:
    """Give a file a second name; False where the file system cannot, or the two are not on the same one."""
    try:
        target.hardlink_to(source)
    except OSError:
        return False
    return True
