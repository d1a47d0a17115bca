"""A round's flights: those that miss are flown, those on disk are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from navstack.episodes import episode_keys, episode_path, index_episode
from navstack.policies.imitation.config import CollectConfig
from navstack.policies.imitation.rollout import CollectJob, collect_episode
from navstack.workers import Workers


@dataclass(slots=True)
class Collected:
    """What a round's episodes are, so far."""

    episodes: int = 0
    frames: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str, frames: int) -> None:
        """Count an episode."""
        self.episodes += 1
        self.frames += frames
        self.outcomes[outcome] += 1

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.most_common())
        return f"{self.episodes} episodes, {self.frames} frames ({ends})"


def collect(
    folder: Path,
    config: CollectConfig,
    episodes: int,
    workers: Workers,
    on_episode: Callable[[Collected], None],
    round_: int = 0,
    policy: Path | None = None,
    expert_share: float = 1.0,
) -> Collected:
    """Bring a round's episodes to this number: those on disk are kept, those that miss are flown.

    Raises InputError where the disk is full or a name is unknown; what was collected before stays.
    """
    collected = Collected()
    there = set(episode_keys(folder))
    missing = []
    for index in range(episodes):
        if (round_, index) in there:
            found = index_episode(episode_path(folder, round_, index))
            collected.add(found.facts.outcome, found.length)
        else:
            learner = str(policy) if policy else None
            missing.append(CollectJob(folder, config, round_, index, learner, expert_share))
    on_episode(collected)
    for facts, frames in workers.map(collect_episode, missing):
        collected.add(facts.outcome, frames)
        on_episode(collected)
    return collected
