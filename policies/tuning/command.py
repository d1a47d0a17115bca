"""What `navstack tune` does with its arguments."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from navstack.errors import InputError
from navstack.files import write_atomically
from navstack.policies.imitation.cloning import fly_expert
from navstack.policies.imitation.command import fit_to_task
from navstack.policies.imitation.config import TrainConfig, config_to_json, preset
from navstack.policies.imitation.report import live_bar
from navstack.policies.network import check_network
from navstack.policies.tuning.curve import curve_figure, fewest, fly_fresh
from navstack.policies.tuning.space import settings_of, usual, with_settings
from navstack.policies.tuning.study import (
    StudySpec,
    finished,
    open_study,
    prepare,
    run_trials,
    trial_folder,
)
from navstack.policies.variants import Variant, build_variant
from navstack.workers import Workers

if TYPE_CHECKING:
    from navstack.policies.commands.tune import Tune


def run_tune(arguments: Tune) -> int:
    """Tune. Raises InputError before anything flies, or when the disk is full."""
    base = trial_config(arguments)
    neurons = tuple(sorted(set(arguments.neurons)))
    _check(arguments, neurons)
    base = fit_to_task(base)
    spec = StudySpec(base, neurons, arguments.seed)
    folder, console = arguments.out, Console()
    open_study(folder, spec)
    cores = len(os.sched_getaffinity(0))
    with Workers(cores) as workers:
        demonstrate(folder, base, workers, console)
    base = replace(prepare(folder, spec), workers=max(1, cores // arguments.jobs))
    _work(folder, spec, base, arguments)
    with Workers(cores) as workers:
        rows = draw_curve(folder, spec, base, arguments.curve_episodes, workers, console)
    _conclude(folder, spec, base, rows, console)
    return 0


def trial_config(arguments: Tune) -> TrainConfig:
    """Every trial's run, but for what is tuned."""
    base = preset("quick")
    dagger = arguments.dagger_episodes
    return replace(
        base,
        collect=replace(base.collect, env=arguments.env, seed=arguments.seed),
        network=arguments.network,
        seed=arguments.seed,
        expert_episodes=arguments.expert_episodes,
        dagger_episodes=dagger,
        expert_share=(*base.expert_share, *[0.0] * len(dagger))[: len(dagger)],
        steps=arguments.steps,
        dev_episodes=arguments.dev_episodes,
        workers=1,
        threads=arguments.threads,
    )


def _check(arguments: Tune, sizes: tuple[int, ...]) -> None:
    check_network(arguments.network)
    settings_of(arguments.network)
    if min(arguments.trials, arguments.jobs, arguments.curve_episodes, arguments.threads) < 1:
        raise InputError("--trials, --jobs, --curve-episodes and --threads must be at least 1")
    if not sizes:
        raise InputError("--neurons needs at least one number")
    for neurons in sizes:
        drawn = usual(arguments.network, neurons)
        build_variant(arguments.network, 48, Variant(neurons, drawn.get("sparsity", 0.5)))


def demonstrate(folder: Path, base: TrainConfig, workers: Workers, console: Console) -> None:
    """Bring the study's demonstrations to their number."""
    episodes = folder / "demonstrations"
    episodes.mkdir(exist_ok=True)
    fly_expert(episodes, base.collect, base.expert_episodes, workers, console)


def _work(folder: Path, spec: StudySpec, base: TrainConfig, arguments: Tune) -> None:
    """All trials, in one process or several."""
    if arguments.jobs == 1:
        run_trials(folder, spec, base, arguments.trials)
        return
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=run_trials, args=(folder, spec, base, arguments.trials, number))
        for number in range(arguments.jobs)
    ]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.terminate()
    if any(process.exitcode for process in processes):
        raise InputError("a process that tunes ended early (see above); the same command goes on")


def draw_curve(
    folder: Path, spec: StudySpec, base: TrainConfig, episodes: int, workers: Workers, console: Console
) -> list[dict[str, Any]]:
    """Fresh flights of the best trial of each size, kept where they were flown before, and their figure."""
    best: dict[int, TrainConfig] = {}
    for _, config in finished(folder, spec, base):
        best.setdefault(config.neurons, config)
    path = folder / "curve.json"
    kept = {row["trial"]: row for row in (json.loads(path.read_text()) if path.exists() else ())}
    rows = []
    total = episodes * len(base.dev_worlds) * len(best)
    with live_bar(console, "fresh dev flights", total) as bar:
        flown = 0

        def count() -> None:
            nonlocal flown
            flown += 1
            bar.show(flown, "")

        for config in best.values():
            trial = trial_folder(folder, config)
            row = kept.get(trial.name, {})
            if row.get("episodes") != episodes * len(base.dev_worlds):
                row = {**fly_fresh(trial / "policy.onnx", config, episodes, workers, count)}
                row["trial"] = trial.name
            rows.append(row)
            write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
    tried = Counter(config.neurons for _, config in finished(folder, spec, base))
    write_atomically(folder / "curve.png", curve_figure(rows, tried, spec.base.network))
    return rows


def _conclude(
    folder: Path, spec: StudySpec, base: TrainConfig, rows: list[dict[str, Any]], console: Console
) -> None:
    """Write best.json and say what was found."""
    for row in sorted(rows, key=lambda row: int(row["neurons"])):
        console.print(
            f"{row['neurons']:5} neurons: {row['successes']} of {row['episodes']} fresh dev flights,"
            f" {100 * row['success_rate']:.1f}% [{100 * row['ci_low']:.1f}, {100 * row['ci_high']:.1f}]",
            highlight=False,
        )
    enough = fewest(rows)
    chosen = next(
        config
        for _, config in finished(folder, spec, base)
        if trial_folder(folder, config).name == enough["trial"]
    )
    names = ("neurons", *settings_of(spec.base.network))
    settings = {name: getattr(chosen, name) for name in names}
    whole = with_settings(replace(preset("quick"), network=chosen.network, collect=chosen.collect), settings)
    whole = replace(whole, augmentation=chosen.augmentation)
    write_atomically(folder / "best.json", (config_to_json(whole) + "\n").encode())
    console.print(
        f"{enough['neurons']} neurons are the fewest whose interval reaches the best size's success;"
        f" {folder / 'best.json'} is their configuration for navstack train --config",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
