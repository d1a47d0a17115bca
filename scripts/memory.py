#!/usr/bin/env python3
"""Delayed recall: which networks remember what they saw 50 to 1,000 frames ago, and what time constants give.

usage: .venv/bin/python scripts/memory.py OUT [--network NAME ...] [--delay N ...] [--steps N] [--seed N]
                                          [--backend torch|numba]

OUT is a file of JSON lines; what stands there is not done again, so the same command goes on after a stop.
Every network is trained from fresh weights on every delay; a name with "+time" begins with time constants of
up to twice the delay (policies/memory.py). The back end Numba is faster for the networks that have it and
differs in the last digits; the others are computed by torch all the same. In the end the table is printed as
Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

from navstack.errors import exit_status
from navstack.policies.cells.backends import use_backend
from navstack.policies.cores import CORES
from navstack.policies.memory import DelayedRecall, begin_with_time_constants, learn_recall, recalled
from navstack.policies.network import check_network
from navstack.statistics import wilson_interval

FEATURES = 48  # as many as a policy's vision gives
TESTED = 512  # fresh sequences
BATCH = 32
RATE = 3e-3
TIME = "+time"


def main() -> int:
    """Train and test what misses, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="file of JSON lines, new or to go on with")
    parser.add_argument(
        "--network", nargs="+", default=["cfc-strict", "cfc-strict+time", "cfc-ncps", "cfc-ncps+time"]
    )
    parser.add_argument("--delay", nargs="+", type=int, default=[50, 100, 200, 500, 1000], help="frames")
    parser.add_argument("--steps", type=int, default=150, help="gradient steps of each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and sequences (default %(default)s)")
    parser.add_argument("--backend", default="torch", choices=("torch", "numba"), help="default %(default)s")
    given = parser.parse_args()
    for name in given.network:
        check_network(name.removesuffix(TIME))
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # gradients that fade over 500 frames end there, where arithmetic is slow
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {key(row) for row in rows}
    jobs = [(name, delay) for delay in given.delay for name in given.network]
    jobs = [job for job in jobs if (*job, given.steps, given.seed) not in done]
    for name, delay in track(jobs, "learning", disable=not sys.stdout.isatty()):
        rows.append(learn(name, delay, given.steps, given.seed, given.backend))
        with given.out.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        print(sentence(rows[-1]), flush=True)
    print_table([row for row in rows if (row["steps"], row["seed"]) == (given.steps, given.seed)])
    return 0


def key(row: dict[str, Any]) -> tuple[str, int, int, int]:
    """What makes a row another than its neighbours."""
    return row["network"], row["delay"], row["steps"], row["seed"]


def learn(name: str, delay: int, steps: int, seed: int, backend: str) -> dict[str, Any]:
    """Train one network on one delay and test it on fresh sequences."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    core = CORES[name.removesuffix(TIME)](FEATURES)
    if any(backend in getattr(cell, "backends", ()) for cell in core.modules()):
        use_backend(core, backend)
    if name.endswith(TIME):
        begin_with_time_constants(core, 2.0 * delay, torch.Generator().manual_seed(seed))
    task = DelayedRecall(delay, FEATURES, seed)
    model = learn_recall(core, task, steps, BATCH, RATE, seed + 1)
    right = recalled(model, task, TESTED, seed + 2)
    low, high = wilson_interval(right, TESTED)
    return {
        "network": name, "delay": delay, "steps": steps, "seed": seed, "right": right, "tested": TESTED,
        "share": right / TESTED, "ci_low": low, "ci_high": high, "seconds": time.perf_counter() - started,
    }  # fmt: skip


def sentence(row: dict[str, Any]) -> str:
    """One row in words."""
    return (
        f"{row['network']:18} delay {row['delay']:5}: {row['right']} of {row['tested']}"
        f" ({100 * row['share']:.1f}%), {row['seconds']:.0f} s"
    )


def print_table(rows: list[dict[str, Any]]) -> None:
    """Networks by delay, as Markdown."""
    delays = sorted({row["delay"] for row in rows})
    print("\n| network | " + " | ".join(f"{delay} frames" for delay in delays) + " |")
    print("|---|" + "---|" * len(delays))
    cells = {(row["network"], row["delay"]): row for row in rows}
    for name in dict.fromkeys(row["network"] for row in rows):
        found = [cells.get((name, delay)) for delay in delays]
        print(f"| {name} | " + " | ".join(cell(row) for row in found) + " |")


def cell(row: dict[str, Any] | None) -> str:
    """Share and its Wilson 95% interval."""
    if row is None:
        return ""
    return f"{100 * row['share']:.0f}% [{100 * row['ci_low']:.0f}, {100 * row['ci_high']:.0f}]"


if __name__ == "__main__":
    sys.exit(exit_status(main))
