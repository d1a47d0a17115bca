#!/usr/bin/env python3
"""The expert's success in every world that ships, camera off.

usage: .venv/bin/python scripts/experts.py [--env TASK] [--task-option NAME=VALUE ...] [--world NAME ...]
                                           [--episodes N] [--seed N] [--workers N]

Fails when the expert is below 99% of all flights or below 97% in a world: it is not fit to teach there.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

from navstack.envs.evaluation.run import Conditions, expert_success
from navstack.envs.tasks import make_task
from navstack.envs.worlds.spec import load_world, world_names
from navstack.errors import exit_status
from navstack.options import parse_options
from navstack.results import Row, result_row
from navstack.workers import Workers

ALL, EACH = 0.99, 0.97  # least success


def main() -> int:
    """Fly, print one line a world as it is done, then all together."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", default="FlyToTarget", help="task (default %(default)s)")
    parser.add_argument(
        "--task-option", nargs="*", default=[], metavar="NAME=VALUE", help="the task's parameters"
    )
    parser.add_argument("--world", nargs="*", default=sorted(world_names()), help="worlds (default: all)")
    parser.add_argument(
        "--episodes", type=int, default=50, help="flights in each world (default %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=6_600_000, help="of the first flight (default %(default)s)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes that fly (default %(default)s)")
    given = parser.parse_args()
    worlds, outcomes, fit = given.world, [], True
    conditions = Conditions(env=given.env, task_options=tuple(given.task_option))
    make_task(conditions.env, parse_options(conditions.task_options))
    fly = partial(expert_success, episodes=given.episodes, seed=given.seed, conditions=conditions)
    for world in worlds:
        load_world(world)  # whether its files are there, before the first takes off
    with Workers(given.workers) as workers:
        for world, ends in zip(worlds, workers.map(fly, worlds), strict=True):
            row = result_row("expert", given.env, world, "none", ends, given.seed)
            show(row)
            fit &= row["success_rate"] >= EACH
            outcomes += ends
    row = result_row("expert", given.env, "all", "none", outcomes, given.seed)
    show(row)
    return 0 if fit and row["success_rate"] >= ALL else 1


def show(row: Row) -> None:
    """Print one row with its interval (Wilson)."""
    low, high = 100 * row["ci_low"], 100 * row["ci_high"]
    print(
        f"{row['world']:12} {row['successes']:5} of {row['episodes']:5}"
        f"  {100 * row['success_rate']:5.1f}%  [{low:.1f}, {high:.1f}]",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
