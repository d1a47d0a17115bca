#!/usr/bin/env python3
"""The published tables of a policy: held-out worlds, lost frames, other frame rates, without the guard.

usage: .venv/bin/python scripts/tables.py POLICY OUT [--seed N] [--episodes N]

Writes OUT/tables.json and OUT/tables.md. Every condition is flown over the same seeds, so differences are
paired; each is written as soon as it is flown, and the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from navstack.envs.evaluation.run import Conditions, fly_jobs, plan, result_rows
from navstack.envs.tasks.base import SUCCESS
from navstack.envs.worlds.spec import world_names
from navstack.files import write_atomically
from navstack.statistics import paired_difference, wilson_interval
from navstack.timing import FrameTiming

RATES = (10.0, 15.0, 30.0, 40.0)


def main() -> int:
    """Fly what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policy")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--episodes", type=int, default=300, help="in each held-out world")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    share = arguments.episodes // len(RATES)
    runs = {
        "nominal": [(Conditions(), arguments.seed, arguments.episodes)],
        "half of the frames lost": [
            (Conditions(timing=FrameTiming(drop_probability=0.5)), arguments.seed, arguments.episodes)
        ],
        "10, 15, 30 and 40 Hz": [
            (Conditions(timing=FrameTiming(rate_hz=rate)), arguments.seed + i * share, share)
            for i, rate in enumerate(RATES)
        ],
    }
    worlds = world_names("held-out")
    flown = {name: fly(name, parts, worlds, arguments) for name, parts in runs.items()}
    write(flown, worlds, arguments)
    return 0


def fly(name: str, parts: list, worlds: list[str], arguments: argparse.Namespace) -> dict[str, str]:
    """Outcome by "world seed"; read from the last run where it is complete."""
    path = arguments.out / f"{name.replace(' ', '-').replace(',', '')}.json"
    if path.exists():
        return json.loads(path.read_text())
    started, outcomes = time.perf_counter(), {}
    for conditions, seed, episodes in parts:
        jobs = plan(arguments.policy, worlds, episodes, seed, conditions)

        def show(record: object) -> None:
            outcomes[f"{record.world} {record.seed}"] = record.outcome
            print(
                f"\r{name}: {len(outcomes)} flown, {time.perf_counter() - started:.0f} s",
                end="",
                file=sys.stderr,
            )

        records = fly_jobs(jobs, arguments.workers, show)
        for row in result_rows(records, conditions.perturb, seed, time.perf_counter() - started):
            print(f"\n{conditions.perturb}: {row['world']} {row['successes']}/{row['episodes']}", end="")
    print()
    write_atomically(path, json.dumps(outcomes, indent=0).encode())
    return outcomes


def write(flown: dict[str, dict[str, str]], worlds: list[str], arguments: argparse.Namespace) -> None:
    """Both tables, as JSON and as Markdown."""
    nominal = flown["nominal"]
    rows = []
    for world in [*worlds, "all"]:
        keys = [key for key in nominal if world == "all" or key.split()[0] == world]
        won = sum(nominal[key] == SUCCESS for key in keys)
        low, high = wilson_interval(won, len(keys))
        rows.append(
            {
                "world": world,
                "episodes": len(keys),
                "successes": won,
                "low": low,
                "high": high,
                "collisions": sum(nominal[key] == "collision" for key in keys),
            }
        )
    lines = [
        "| world (held out) | flights | success | 95% interval (Wilson) | collisions |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        rate = 100 * row["successes"] / row["episodes"]
        lines.append(
            f"| {row['world']} | {row['episodes']} | {rate:.1f}% | {100 * row['low']:.1f} to"
            f" {100 * row['high']:.1f}% | {row['collisions']} |"
        )
    lines += [
        "",
        "| condition | pairs | success | nominal, same flights | loss (points) | 95% interval of the loss |",
        "|---|---|---|---|---|---|",
    ]
    paired = []
    for name, outcomes in flown.items():
        if name == "nominal":
            continue
        a = [nominal[key] == SUCCESS for key in outcomes]
        b = [outcome == SUCCESS for outcome in outcomes.values()]
        found = paired_difference(a, b)
        paired.append(
            {
                "condition": name,
                "pairs": len(a),
                "loss": -found.difference,
                "loss_low": -found.high,
                "loss_high": -found.low,
            }
        )
        lines.append(
            f"| {name} | {len(a)} | {100 * sum(b) / len(b):.1f}% | {100 * sum(a) / len(a):.1f}% |"
            f" {-100 * found.difference:.2f} | {-100 * found.high:.2f} to {-100 * found.low:.2f} |"
        )
    text = "\n".join(lines) + "\n"
    write_atomically(arguments.out / "tables.md", text.encode())
    table = {"policy": arguments.policy, "seed": arguments.seed, "held_out": rows, "paired": paired}
    write_atomically(arguments.out / "tables.json", json.dumps(table, indent=1).encode())
    print(text)


if __name__ == "__main__":
    sys.exit(main())
