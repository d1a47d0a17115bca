"""Many flights at once: the processes that fly, and what they do with a keyboard interrupt."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.pool import Pool
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from navstack.episodes import episode_keys, episode_path, index_episode
from navstack.policies.imitation.config import CollectConfig
from navstack.policies.imitation.rollout import CollectJob, collect_episode

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class Flyers:
    """Worker processes for flights. Results come in the order of the jobs, whoever flew them.

    With one worker everything is flown in this process.
    """

    def __init__(self, workers: int) -> None:
        self._pool: Pool | None = None
        if workers > 1:
            self._pool = multiprocessing.get_context("spawn").Pool(workers, _leave_interrupts_to_the_parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()

    def map(self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]:
        """The result of every job, in order. A worker's InputError is raised here."""
        return map(function, jobs) if self._pool is None else self._pool.imap(function, jobs)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
    flyers: Flyers,
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
    for facts, frames in flyers.map(collect_episode, missing):
        collected.add(facts.outcome, frames)
        on_episode(collected)
    return collected
