"""How flights end, and the rows of a result table that every command and script writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from navstack.statistics import wilson_interval

SUCCESS = "success"
COLLISION = "collision"
TIMEOUT = "timeout"

Row = dict[str, Any]


def result_row(
    policy: str, env: str, world: str, perturb: str, outcomes: Sequence[str], seed: int, **more: Any
) -> Row:
    """One row of a result table: counts, success rate and its 95% Wilson interval.

    Args:
        policy: path or name.
        env: short name of the task.
        world: name of the world, or "all".
        perturb: conditions that are not the default, in words.
        outcomes: how each flight ended; at least one.
        seed: of the first flight in each world.
        more: further columns.
    """
    counts = Counter(outcomes)
    successes, episodes = counts[SUCCESS], len(outcomes)
    low, high = wilson_interval(successes, episodes)
    return {
        "policy": policy,
        "env": env,
        "world": world,
        "perturb": perturb,
        "episodes": episodes,
        "successes": successes,
        "success_rate": successes / episodes,
        "ci_low": low,
        "ci_high": high,
        "collisions": counts[COLLISION],
        "timeouts": counts[TIMEOUT],
        "seed": seed,
        **more,
    }
