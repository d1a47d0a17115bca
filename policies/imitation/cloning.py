"""Trainings that only clone: what studies of networks, front-ends and demonstrations share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from navstack.policies.imitation.collecting import collect
from navstack.policies.imitation.command import fit_to_task
from navstack.policies.imitation.config import CollectConfig, TrainConfig, preset
from navstack.policies.imitation.report import live_bar
from navstack.workers import Workers


def cloning_config(env: str, steps: int, dev_episodes: int) -> TrainConfig:
    """The quick preset for a task, on all cores: so many gradient steps on demonstrations, without DAgger.

    `dev_episodes` are the flights in each dev world. Raises InputError for a task that there is not.
    """
    quick, cores = preset("quick"), len(os.sched_getaffinity(0))
    return fit_to_task(
        replace(
            quick,
            collect=replace(quick.collect, env=env),
            dagger_episodes=(),
            expert_share=(),
            steps=(steps,),
            dev_episodes=dev_episodes,
            workers=cores,
            threads=cores,
        )
    )


def fly_expert(
    folder: Path, config: CollectConfig, episodes: int, workers: Workers, console: Console
) -> None:
    """Bring the demonstrations in a folder to their number, behind a bar. Raises as `collect` does."""
    with live_bar(console, "expert flies", episodes) as bar:
        collect(
            folder, config, episodes, workers,
            lambda so_far: bar.show(so_far.episodes, f"{so_far.frames} frames"),
        )  # fmt: skip
