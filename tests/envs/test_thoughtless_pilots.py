"""Who does not look does not win: a pilot that does nothing, and one that does anything."""

from __future__ import annotations

import numpy as np
import pytest

from navstack.envs.navigation import NavigationEnv
from navstack.results import SUCCESS

TASKS = ("Clutter", "Gates", "Distractors", "FirstSeen")


def wins(task: str, pilot: str, flights: int) -> int:
    environment = NavigationEnv(task=task, world="meadow", camera=False)
    rng, space = np.random.default_rng(5), environment.action_space
    won = 0
    for seed in range(flights):
        _, info = environment.reset(seed=seed)
        while "outcome" not in info:
            action = np.zeros(4) if pilot == "zero" else rng.uniform(space.low, space.high)
            *_, info = environment.step(action.astype(np.float32))
        won += info["outcome"] == SUCCESS
    environment.close()
    return won


@pytest.mark.parametrize("task", TASKS)
def test_a_few_flights_are_not_won(task: str) -> None:
    assert wins(task, "zero", 1) == 0
    assert wins(task, "random", 2) == 0


@pytest.mark.slow
@pytest.mark.parametrize("pilot", ["zero", "random"])
@pytest.mark.parametrize("task", TASKS)
def test_less_than_one_percent_is_won(task: str, pilot: str) -> None:
    assert wins(task, pilot, 101) == 0
