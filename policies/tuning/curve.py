"""How many neurons a task needs: fresh dev flights of the best trial of each size, and their figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from navstack.policies.explain.figures import COLORS, STYLE, png
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.imitation.rollout import dev_jobs, judge_policy
from navstack.results import SUCCESS
from navstack.statistics import wilson_interval
from navstack.workers import Workers

FRESH = 1_000_000  # first flight's index: far from those that trials were judged and chosen by


def fly_fresh(
    policy: Path, config: TrainConfig, episodes: int, workers: Workers, on_flight: Callable[[], None]
) -> dict[str, Any]:
    """A row of the curve: `episodes` flights in each dev world that played no part in any choice."""
    jobs = dev_jobs(config, policy, range(FRESH, FRESH + episodes))
    outcomes = []
    for outcome in workers.map(judge_policy, jobs):
        outcomes.append(outcome)
        on_flight()
    successes = outcomes.count(SUCCESS)
    low, high = wilson_interval(successes, len(outcomes))
    return {
        "neurons": config.neurons, "episodes": len(outcomes), "successes": successes,
        "success_rate": successes / len(outcomes), "ci_low": low, "ci_high": high,
    }  # fmt: skip


def fewest(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of fewest neurons whose interval reaches the best row's success rate."""
    best = max(row["success_rate"] for row in rows)
    return min((row for row in rows if row["ci_high"] >= best), key=lambda row: int(row["neurons"]))


def curve_figure(rows: Sequence[dict[str, Any]], tried: dict[int, int], network: str) -> bytes:
    """Success against neurons with Wilson intervals, and the number of trials behind each point, as a PNG."""
    rows = sorted(rows, key=lambda row: int(row["neurons"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 5.6), layout="constrained")
        axes = figure.subplots()
        x = [row["neurons"] for row in rows]
        y = [100.0 * row["success_rate"] for row in rows]
        below = [value - 100.0 * row["ci_low"] for value, row in zip(y, rows, strict=True)]
        above = [100.0 * row["ci_high"] - value for value, row in zip(y, rows, strict=True)]
        axes.errorbar(x, y, (below, above), fmt="-o", color=COLORS[0], capsize=4)
        for row, value in zip(rows, y, strict=True):
            trials = tried.get(row["neurons"], 0)
            note = f"{trials} trial" + ("s" if trials != 1 else "")
            axes.annotate(note, (row["neurons"], value), (6, -14), textcoords="offset points", fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(value) for value in x])
        axes.minorticks_off()
        axes.set_ylim(0.0, 103.0)
        axes.set_xlabel(f"neurons of {network}")
        axes.set_ylabel("success in dev worlds, fresh flights (%)")
        axes.set_title(f"Best trial of each size, {rows[0]['episodes']} flights each; bars: Wilson 95%")
        return png(figure)
