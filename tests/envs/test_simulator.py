"""What the simulator looks up only where it matters."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from navstack.envs.navigation import NavigationEnv


def flown(task: str, world: str, always: bool) -> tuple[list[Any], int]:
    """What four reckless flights came to, and how often the gaps to the obstacles were measured."""
    environment = NavigationEnv(task, world, purpose="evaluate", camera=False)
    simulator, measured, seen = environment.simulator, 0, []
    measure = simulator._gap_to_obstacles

    def counting(x: float, y: float, z: float) -> float:
        nonlocal measured
        measured += 1
        return measure(x, y, z)

    simulator._gap_to_obstacles = counting  # type: ignore[method-assign]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        _, info = environment.reset(seed=seed)
        for number in range(150):
            if always:
                simulator._gap = -math.inf
            if number % 20 == 0:
                command = rng.uniform(-1.0, 1.0, 4) * (2.0, 1.0, 0.6, 0.5) + (1.0, 0.0, -0.4, 0.0)
            _, reward, terminated, _, info = environment.step(command.astype(np.float32))
            seen.append((simulator.clearance, info["state"], reward, info.get("outcome")))
            if terminated:
                break
    environment.close()
    return seen, measured


@pytest.mark.parametrize(
    ("task", "world"), [("FlyToTarget", "forest"), ("Clutter", "warehouse"), ("FlyToTarget", "hills")]
)
def test_gaps_are_measured_only_where_they_matter(task: str, world: str) -> None:
    (seen, few), (expected, many) = flown(task, world, always=False), flown(task, world, always=True)
    assert seen == expected
    assert {outcome for *_, outcome in seen} >= {None, "collision"}
    assert few < 0.9 * many


def test_where_something_moves_gaps_are_measured_always() -> None:
    (seen, often), (expected, always) = (flown("Occlusion", "meadow", each) for each in (False, True))
    assert seen == expected
    assert often == always
