"""What `navstack collect`, `train` and `export` do with their arguments."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from navstack.errors import InputError
from navstack.files import check_new_file, disk_errors, write_atomically
from navstack.policies.imitation.config import CollectConfig, TrainConfig, config_from_json, preset
from navstack.policies.imitation.demonstrations import digest

if TYPE_CHECKING:
    from navstack.policies.commands.collect import Collect
    from navstack.policies.commands.export import Export
    from navstack.policies.commands.train import Train
    from navstack.policies.network import NetworkSpec, PolicyNetwork


def run_collect(arguments: Collect) -> int:
    """Collect expert episodes. Raises InputError before anything flies, or when the disk is full."""
    from navstack.policies.imitation.collecting import collect
    from navstack.policies.imitation.report import live_bar
    from navstack.workers import Workers

    if arguments.episodes < 1 or arguments.workers < 1:
        raise InputError("--episodes and --workers must be at least 1")
    config = CollectConfig(
        env=arguments.env, worlds=arguments.world, seed=arguments.seed, task_options=arguments.task_option
    )
    check_worlds(config, config.worlds, "train")
    folder, console = arguments.out, Console()
    _open_collection(folder, config)
    if arguments.pilot == "keyboard":
        from navstack.policies.imitation.keyboard import collect_by_keyboard

        print(f"{folder}: {collect_by_keyboard(folder, config, arguments.episodes)} flights flown by hand")
        return 0
    with (
        Workers(arguments.workers, arguments.cluster) as workers,
        live_bar(console, "expert flies", arguments.episodes) as bar,
    ):
        collected = collect(
            folder,
            config,
            arguments.episodes,
            workers,
            lambda so_far: bar.show(so_far.episodes, f"{so_far.frames} frames"),
        )
    console.print(f"{folder}: {collected}", highlight=False)
    return 0


def _open_collection(folder: Path, config: CollectConfig) -> None:
    path = folder / "collect.json"
    text = json.dumps(asdict(config), sort_keys=True, indent=1) + "\n"
    if path.exists():
        if path.read_text() != text:
            raise InputError(
                f"{folder} holds another collection (see {path}); name another folder or remove it"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists and is no collection of episodes; name another folder or remove it"
        )
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def check_worlds(config: CollectConfig, worlds: tuple[str, ...], purpose: str) -> bool:
    """Make each world's environment once; returns whether the task's pictures may be mirrored.

    Raises InputError for names unknown or not for this purpose.
    """
    from gymnasium.error import Error

    from navstack.policies.imitation.rollout import make_env
    from navstack.timing import FrameTiming

    if not worlds:
        raise InputError("no world is named; give at least one (navstack worlds lists them)")
    for world in worlds:
        try:
            environment = make_env(config, world, purpose, FrameTiming())
        except Error as error:
            raise InputError(f"task '{config.env}' not found ({error})") from error
        environment.close()
    return bool(environment.unwrapped.mirrors)  # type: ignore[attr-defined]


def train_config(arguments: Train) -> TrainConfig:
    """The run that the arguments describe. Raises InputError where they contradict each other."""
    cores = len(os.sched_getaffinity(0))
    base = preset(arguments.preset) if arguments.config is None else read_config(arguments.config)
    dagger = _given(arguments.dagger_episodes, base.dagger_episodes)
    share = (*base.expert_share, *[0.0] * len(dagger))[: len(dagger)]
    seed = _given(arguments.seed, base.seed)
    env, worlds = _given(arguments.env, base.collect.env), _given(arguments.world, base.collect.worlds)
    config = replace(
        base,
        collect=replace(
            base.collect,
            env=env,
            worlds=worlds,
            seed=seed,
            task_options=_given(arguments.task_option, base.collect.task_options),
        ),
        network=_given(arguments.network, base.network),
        seed=seed,
        dev_worlds=_given(arguments.dev_world, base.dev_worlds),
        workers=arguments.workers or cores,
        threads=arguments.threads or cores,
        accelerator=arguments.accelerator,
        precision=arguments.precision,
        backend=_given(arguments.backend, base.backend),
        expert_episodes=_given(arguments.expert_episodes, base.expert_episodes),
        dagger_episodes=dagger,
        expert_share=share,
        steps=_given(arguments.steps, base.steps),
        dev_episodes=_given(arguments.dev_episodes, base.dev_episodes),
        memory=_given(arguments.memory, base.memory),
        patience=_given(arguments.patience, base.patience),
        demonstrations="",
    )
    if arguments.learning_rate is not None:
        later = config.later_rate * arguments.learning_rate / config.learning_rate
        config = replace(config, learning_rate=arguments.learning_rate, later_rate=later)
    if arguments.demonstrations is None:
        return config
    found, count = digest(arguments.demonstrations, arguments.expert_episodes)
    return replace(config, demonstrations=found, expert_episodes=count)


def read_config(path: Path) -> TrainConfig:
    """A configuration from a JSON file. Raises InputError where it is none."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not the configuration of a training run ({error})") from error
    return config_from_json(values)


ValueT = TypeVar("ValueT")


def _given(value: ValueT | None, otherwise: ValueT) -> ValueT:
    return otherwise if value is None else value


def fit_to_task(config: TrainConfig) -> TrainConfig:
    """The run without mirrored pictures where the task's would lie. Raises InputError for wrong names."""
    mirrors = check_worlds(config.collect, config.collect.worlds, "train")
    check_worlds(config.collect, config.dev_worlds, "dev")
    return config if mirrors else replace(config, augmentation=replace(config.augmentation, mirror=0.0))


def run_train(arguments: Train) -> int:
    """Train. Raises InputError before anything flies, or when the disk is full."""
    config = fit_to_task(train_config(arguments))
    from navstack.policies.cells.backends import use_backend
    from navstack.policies.imitation.card import network_spec
    from navstack.policies.imitation.processes import Processes
    from navstack.policies.imitation.run import train
    from navstack.policies.network import build_network, check_network

    check_network(config.network)
    if config.backend != "torch":
        use_backend(build_network(network_spec(config)), config.backend)  # refused before anything flies
    processes = Processes(config.accelerator, config.precision)
    console = Console(quiet=not processes.first)
    result = train(arguments.out, config, console, processes, arguments.demonstrations)
    console.print(f"policy: {result}", highlight=False)
    return 0


def run_export(arguments: Export) -> int:
    """Export a checkpoint. Raises InputError where there is none, or the output exists."""
    from navstack.policies.export import export_policy, weights_hash
    from navstack.policies.imitation.card import run_card

    check_new_file(arguments.out)
    network, spec, config, round_ = _restored(arguments.checkpoint)
    export_policy(network, run_card(config, network, spec, round_), arguments.out)
    print(
        f"{arguments.out}: {arguments.out.stat().st_size} bytes, weights {weights_hash(arguments.out)[:16]}"
    )
    return 0


def network_of_run(folder: Path) -> PolicyNetwork:
    """The network of a run's newest checkpoint. Raises InputError where there is none, or a broken one."""
    return _restored(folder)[0]


def _restored(folder: Path) -> tuple[PolicyNetwork, NetworkSpec, TrainConfig, int]:
    """Network, its shape, the run and its round, of the newest checkpoint in a folder."""
    from navstack.policies.imitation.card import network_spec
    from navstack.policies.imitation.checkpoint import load_checkpoint, restore
    from navstack.policies.imitation.learn import Imitator
    from navstack.policies.network import build_network

    path = find_checkpoint(folder)
    checkpoint = load_checkpoint(path)
    config = config_from_json(checkpoint.config)
    spec = network_spec(config)
    network = build_network(spec)
    restore(checkpoint, Imitator(network), None)
    return network, spec, config, checkpoint.position.round


def find_checkpoint(folder: Path) -> Path:
    """The newest checkpoint in a run's or a round's folder. Raises InputError where there is none."""
    found = sorted([*folder.glob("checkpoint.safetensors"), *folder.glob("rounds/*/checkpoint.safetensors")])
    if not found:
        raise InputError(
            f"{folder} holds no checkpoint; give the folder of a training run, or one of its rounds"
        )
    return found[-1]
