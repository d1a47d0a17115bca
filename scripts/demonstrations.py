#!/usr/bin/env python3
"""Little labelled data: success in dev worlds against the number of demonstrations, for several networks.

usage: .venv/bin/python scripts/demonstrations.py OUT [--network NAME ...] [--count N ...] [--seeds N]
                                                  [--steps N] [--episodes N] [--env TASK]

The expert's flights are flown once (OUT/episodes). Every network clones the first N of them, for every N,
with the same number of gradient steps, and without DAgger, so demonstrations are all it has; each of these is
a training run in OUT/runs. Its one exported policy flies the dev worlds; nothing is chosen by these flights.
OUT/demonstrations.png and .json show success with Wilson 95% intervals. The same command goes on after a
stop.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from rich.console import Console

from navstack.errors import exit_status
from navstack.files import disk_errors, write_atomically
from navstack.policies.explain.figures import COLORS, STYLE, png
from navstack.policies.imitation.card import read_dev
from navstack.policies.imitation.cloning import cloning_config, fly_expert
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.demonstrations import digest
from navstack.policies.imitation.run import train
from navstack.policies.network import check_network
from navstack.statistics import wilson_interval
from navstack.workers import Workers


def main() -> int:
    """Fly, clone, judge, draw."""
    given = arguments()
    for name in given.network:
        check_network(name)
    counts = sorted(set(given.count))
    base = cloning_config(given.env, given.steps, given.episodes)
    console, episodes = Console(), given.out / "episodes"
    with disk_errors(given.out):
        episodes.mkdir(parents=True, exist_ok=True)
    with Workers(base.workers) as workers:
        fly_expert(episodes, base.collect, counts[-1], workers, console)
    rows: list[dict[str, Any]] = []
    for count in counts:
        found, _ = digest(episodes, count)
        for network in given.network:
            for seed in range(given.seeds):
                config = replace(
                    base, network=network, seed=seed, expert_episodes=count, demonstrations=found
                )
                folder = given.out / "runs" / f"{network}-{count:04d}-{seed}"
                folder.parent.mkdir(exist_ok=True)
                train(folder, config, console, demonstrations=episodes)
                rows.append(row(folder, network, count, seed))
                console.print(sentence(rows[-1]), highlight=False)
                write_atomically(
                    given.out / "demonstrations.json", (json.dumps(rows, indent=1) + "\n").encode()
                )
                write_atomically(given.out / "demonstrations.png", figure(rows, base))
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder, new or to go on with")
    parser.add_argument("--network", nargs="+", default=["cfc-strict", "lstm", "mlp"])
    parser.add_argument(
        "--count", nargs="+", type=int, default=[10, 30, 100, 300, 1000], help="demonstrations"
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (default %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="gradient steps (default %(default)s)")
    parser.add_argument(
        "--episodes", type=int, default=50, help="flights in each dev world (default %(default)s)"
    )
    parser.add_argument("--env", default="FlyToTarget", help="task (default %(default)s)")
    return parser.parse_args()


def row(folder: Path, network: str, count: int, seed: int) -> dict[str, Any]:
    """How the policy of a run did in the dev worlds."""
    dev = read_dev(folder / "rounds" / "00" / "dev.json")
    successes, episodes = (sum(found[name] for found in dev) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    return {
        "network": network, "demonstrations": count, "seed": seed, "episodes": episodes,
        "successes": successes, "success_rate": successes / episodes, "ci_low": low, "ci_high": high,
    }  # fmt: skip


def sentence(found: dict[str, Any]) -> str:
    """One row in words."""
    return (
        f"{found['network']}, {found['demonstrations']} demonstrations, seed {found['seed']}:"
        f" {found['successes']} of {found['episodes']}, {100 * found['success_rate']:.1f}%"
        f" [{100 * found['ci_low']:.1f}, {100 * found['ci_high']:.1f}]"
    )


def pooled(rows: list[dict[str, Any]], network: str) -> list[tuple[int, float, float, float]]:
    """Demonstrations, success and interval of a network, the flights of all seeds together."""
    found = []
    for count in sorted({row["demonstrations"] for row in rows if row["network"] == network}):
        same = [row for row in rows if (row["network"], row["demonstrations"]) == (network, count)]
        successes, episodes = (sum(row[name] for row in same) for name in ("successes", "episodes"))
        found.append((count, successes / episodes, *wilson_interval(successes, episodes)))
    return found


def figure(rows: list[dict[str, Any]], config: TrainConfig) -> bytes:
    """Success against demonstrations, a line a network, as a PNG."""
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(9.6, 5.6), layout="constrained")
        axes = drawn.subplots()
        for network, color in zip(dict.fromkeys(row["network"] for row in rows), COLORS, strict=False):
            points = pooled(rows, network)
            x, y = [point[0] for point in points], [100 * point[1] for point in points]
            below = [100 * (point[1] - point[2]) for point in points]
            above = [100 * (point[3] - point[1]) for point in points]
            axes.errorbar(x, y, (below, above), fmt="-o", color=color, capsize=4, label=network)
        axes.set_xscale("log")
        counts = sorted({row["demonstrations"] for row in rows})
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_ylim(-2.0, 103.0)
        axes.set_xlabel("demonstrations")
        axes.set_ylabel("success in dev worlds (%)")
        seeds = len({row["seed"] for row in rows})
        axes.set_title(
            f"{config.collect.env}: cloned with {config.steps[0]} steps, {rows[0]['episodes']} flights,"
            f" {seeds} training{'s' if seeds > 1 else ''} of each; bars: Wilson 95%"
        )
        axes.legend(loc="lower right")
        return png(drawn)


if __name__ == "__main__":
    sys.exit(exit_status(main))
