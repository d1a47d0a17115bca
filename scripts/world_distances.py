#!/usr/bin/env python3
"""How far the held-out and dev worlds lie from the train worlds: the table of docs/worlds.md.

usage: .venv/bin/python scripts/world_distances.py [--draws N] [--seed N]

For each world the first pictures of N flights; envs/worlds/likeness.py says what is compared.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from navstack.envs.navigation import NavigationEnv
from navstack.envs.worlds.likeness import Array, distance, features, spread, standardised
from navstack.envs.worlds.spec import describe_world, load_world, world_names
from navstack.errors import exit_status

SPLITS = ("held-out", "dev", "train")


def main() -> int:
    """Draw, compare, print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=40, help="pictures of each world (default %(default)s)")
    parser.add_argument("--seed", type=int, default=9_100_000, help="of the first draw (default %(default)s)")
    given = parser.parse_args()
    names = world_names()
    for name in names:
        load_world(name)  # whether its files are there, before the first is drawn
    samples = {}
    for name in names:
        samples[name] = sample(name, given.draws, given.seed)
        print(f"drew {name}", file=sys.stderr, flush=True)
    print("\n".join(table(standardised(samples))))
    return 0


def sample(world: str, draws: int, seed: int) -> Array:
    """(draws, 21) features of the first pictures of flights in a world."""
    environment = NavigationEnv(world=world, purpose="evaluate")
    try:
        pictures = [environment.reset(seed=seed + k)[0]["image"] for k in range(draws)]
    finally:
        environment.close()
    return np.array([features(picture) for picture in pictures])


def table(samples: dict[str, Array]) -> list[str]:
    """A row for each world: nearest train world, how far, how far its own two halves are, its spread."""
    splits = {name: describe_world(name).split for name in samples}
    train = [name for name in samples if splits[name] == "train"]
    lines = [
        "| world | split | nearest train world | distance | between its own halves | spread |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted(samples, key=lambda name: (SPLITS.index(splits[name]), name)):
        others = {other: distance(samples[name], samples[other]) for other in train if other != name}
        nearest = min(others, key=lambda other: others[other])
        halves = distance(samples[name][::2], samples[name][1::2])
        lines.append(
            f"| {name} | {splits[name]} | {nearest} | {others[nearest]:.2f} | {halves:.2f}"
            f" | {spread(samples[name]):.1f} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(exit_status(main))
