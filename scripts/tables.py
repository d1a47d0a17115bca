#!/usr/bin/env python3
"""The published tables of a policy: held-out worlds, lost frames, other frame rates.

usage: .venv/bin/python scripts/tables.py POLICY OUT [--seed N] [--episodes N]

Writes OUT/tables.json and OUT/tables.md. Every condition is flown over the same seeds, so differences are
paired; each is written as soon as it is flown, and the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from navstack.envs.evaluation.run import Conditions, fly_jobs, plan
from navstack.envs.worlds.spec import world_names
from navstack.errors import InputError, exit_status
from navstack.files import write_atomically
from navstack.policy import read_policy
from navstack.results import SUCCESS, Row, result_row
from navstack.statistics import paired_difference
from navstack.timing import FrameTiming

RATES = (10.0, 15.0, 30.0, 40.0)
Outcomes = dict[str, str]  # "world seed" -> how that flight ended


@dataclass(frozen=True)
class Part:
    """Seeds flown under one set of conditions."""

    conditions: Conditions
    seed: int
    episodes: int  # in each world


def parts(seed: int, episodes: int) -> dict[str, list[Part]]:
    """What is flown for each row of the tables. The frame rates share the seeds out among them."""
    share = episodes // len(RATES)
    return {
        "nominal": [Part(Conditions(), seed, episodes)],
        "half of the frames lost": [
            Part(Conditions(timing=FrameTiming(drop_probability=0.5)), seed, episodes)
        ],
        "10, 15, 30 and 40 Hz": [
            Part(Conditions(timing=FrameTiming(rate_hz=rate)), seed + number * share, share)
            for number, rate in enumerate(RATES)
        ],
    }


def main() -> int:
    """Fly what is missing, then write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("policy")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=1_000_000)
    parser.add_argument("--episodes", type=int, default=300, help="in each held-out world")
    parser.add_argument("--worlds", nargs="+", help="held-out worlds (default: all of the library)")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.episodes < len(RATES):
        parser.error(f"--episodes is {arguments.episodes}; it must be at least {len(RATES)}")
    arguments.worlds = sorted(arguments.worlds or world_names("held-out"))
    if extra := set(arguments.worlds) - set(world_names("held-out")):
        parser.error(
            f"--worlds: '{min(extra)}' is not a held-out world ({', '.join(world_names('held-out'))})"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    what = {
        "policy_sha256": hashlib.sha256(read_policy(arguments.policy).data).hexdigest(),
        "seed": arguments.seed,
        "episodes": arguments.episodes,
        "worlds": arguments.worlds,
    }
    flown = {
        name: outcomes(name, flights, what, arguments)
        for name, flights in parts(arguments.seed, arguments.episodes).items()
    }
    write(flown, arguments)
    return 0


def outcomes(name: str, flights: list[Part], what: Row, arguments: argparse.Namespace) -> Outcomes:
    """How every flight of a condition ended: flown, or read where an earlier call has flown it.

    Raises InputError where the file there is of another policy or other seeds.
    """
    path = arguments.out / f"{name.replace(' ', '-').replace(',', '')}.json"
    if path.exists():
        found = json.loads(path.read_text())
        if {key: found.get(key) for key in what} != what:
            raise InputError(f"{path} holds flights of another policy or other seeds; name another folder")
        return found["outcomes"]
    started, ended = time.perf_counter(), {}

    def show(record: object) -> None:
        ended[f"{record.world} {record.seed}"] = record.outcome
        seconds = time.perf_counter() - started
        print(f"\r{name}: {len(ended)} flown, {seconds:.0f} s", end="", file=sys.stderr)

    for part in flights:
        jobs = plan(arguments.policy, arguments.worlds, part.episodes, part.seed, part.conditions)
        fly_jobs(jobs, arguments.workers, show)
    print(file=sys.stderr)
    write_atomically(path, json.dumps({**what, "outcomes": ended}, indent=0).encode())
    return ended


def held_out(nominal: Outcomes, worlds: list[str], policy: str, seed: int) -> list[Row]:
    """The rows of the first table: each world, and all together."""
    rows = []
    for world in [*worlds, "all"]:
        group = [end for key, end in nominal.items() if world in ("all", key.split()[0])]
        rows.append(result_row(policy, "FlyToTarget", world, "none", group, seed))
    return rows


def paired(name: str, nominal: Outcomes, perturbed: Outcomes) -> Row:
    """A row of the second table: the loss of success against the same flights undisturbed."""
    before = [nominal[key] == SUCCESS for key in perturbed]
    after = [end == SUCCESS for end in perturbed.values()]
    found = paired_difference(before, after)
    return {
        "condition": name, "pairs": len(after), "successes": sum(after), "nominal_successes": sum(before),
        "loss": -found.difference, "loss_low": -found.high, "loss_high": -found.low,
    }  # fmt: skip


def write(flown: dict[str, Outcomes], arguments: argparse.Namespace) -> None:
    """Both tables, as JSON and as Markdown."""
    nominal = flown["nominal"]
    rows = held_out(nominal, arguments.worlds, arguments.policy, arguments.seed)
    losses = [paired(name, nominal, ends) for name, ends in flown.items() if name != "nominal"]
    lines = [
        "| world (held out) | flights | success | 95% interval (Wilson) | timeouts | collisions |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['world']} | {row['episodes']} | {100 * row['success_rate']:.1f}% |"
        f" {100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}% | {row['timeouts']} |"
        f" {row['collisions']} |"
        for row in rows
    ]
    lines += [
        "",
        "| condition | pairs | success | nominal, same flights | loss (points) | 95% interval of the loss |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['condition']} | {row['pairs']} | {100 * row['successes'] / row['pairs']:.1f}% |"
        f" {100 * row['nominal_successes'] / row['pairs']:.1f}% | {100 * row['loss']:.2f} |"
        f" {100 * row['loss_low']:.2f} to {100 * row['loss_high']:.2f} |"
        for row in losses
    ]
    text = "\n".join(lines) + "\n"
    write_atomically(arguments.out / "tables.md", text.encode())
    table = {"policy": arguments.policy, "seed": arguments.seed, "held_out": rows, "paired": losses}
    write_atomically(arguments.out / "tables.json", json.dumps(table, indent=1).encode())
    print(text)


if __name__ == "__main__":
    sys.exit(exit_status(main))
