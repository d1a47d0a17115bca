"""A study in a folder: trials that are training runs, pruned by dev success, in one process or several.

    study.json           what the study is
    study.log            all trials, Optuna's journal (JSON lines; many processes may write)
    demonstrations/      expert flights that all trials learn from
    trials/<hash>/       the training run of these settings; another trial with the same goes on with it
    curve.json, .png     fresh dev flights of the best trial of each size
    best.json            the configuration that `navstack train --config` takes

A trial that a kill left unfinished is found by its lock, given up, and queued once more: its folder holds
what it had done.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from rich.console import Console

from navstack.errors import InputError
from navstack.files import disk_errors, write_atomically
from navstack.policies.imitation.card import read_dev, success_rate
from navstack.policies.imitation.config import TrainConfig, config_to_json
from navstack.policies.imitation.demonstrations import digest
from navstack.policies.imitation.learn import DivergenceError
from navstack.policies.imitation.run import train
from navstack.policies.tuning.space import draw_config, usual, with_settings

NAME = "navstack"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
STARTUP = 5  # trials that run to their end before any is pruned, and at least one a size


@dataclass(frozen=True, slots=True)
class StudySpec:
    """What a study is. Trials and flights of the curve may grow from one start to the next."""

    base: TrainConfig  # every trial's run but for what is tuned
    neurons: tuple[int, ...]  # sizes between which is chosen
    seed: int = 0


def open_study(folder: Path, spec: StudySpec) -> None:
    """Make the folder this study's, or check that it is. Raises InputError where it is not."""
    path = folder / "study.json"
    values = {**asdict(spec), "base": json.loads(config_to_json(replace(spec.base, workers=1)))}
    text = json.dumps(values, sort_keys=True, indent=1) + "\n"
    if path.exists():
        if path.read_text() != text:
            raise InputError(f"{folder} holds another study (see {path}); name another folder or remove it")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is no study; name another folder or remove it")
    with disk_errors(folder):
        (folder / "trials").mkdir(parents=True, exist_ok=True)
        (folder / "locks").mkdir(exist_ok=True)
    write_atomically(path, text.encode())


def load_study(folder: Path, spec: StudySpec, process: int = 0) -> optuna.Study:
    """The study in a folder, or a new one there."""
    startup = max(STARTUP, len(spec.neurons))
    seed = spec.seed + process
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / "study.log")))
    return optuna.create_study(
        study_name=NAME, storage=storage, direction="maximize", load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=startup),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=startup),
    )  # fmt: skip


def prepare(folder: Path, spec: StudySpec) -> TrainConfig:
    """Queue the first trials and those that a kill left unfinished. Returns every trial's run.

    Call it from one process, before the others begin. The study's demonstrations must be there.
    """
    study = load_study(folder, spec)
    if not study.trials:
        for neurons in spec.neurons:
            study.enqueue_trial(usual(spec.base.network, neurons))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with _lock(folder, trial.number) as free:
            if free:
                study.tell(trial.number, state=TrialState.FAIL)
                study.enqueue_trial(trial.params)
    found, _ = digest(folder / "demonstrations", spec.base.expert_episodes)
    return replace(spec.base, demonstrations=found)


def run_trials(folder: Path, spec: StudySpec, base: TrainConfig, trials: int, process: int = 0) -> None:
    """Work on the study until so many trials are done, those of other processes included."""
    study = load_study(folder, spec, process)
    console = Console()

    def objective(trial: optuna.Trial) -> float:
        with _lock(folder, trial.number):
            return _run_trial(folder, trial, draw_config(trial, base, spec.neurons), console)

    while len(study.get_trials(deepcopy=False, states=DONE)) < trials:
        study.optimize(objective, n_trials=1, catch=())


def _run_trial(folder: Path, trial: optuna.Trial, config: TrainConfig, console: Console) -> float:
    """Train with these settings. Returns the best dev success of the rounds. Raises TrialPruned."""
    rates: list[float] = []

    def after_round(round_: int, success: float) -> None:
        rates.append(success)
        trial.report(success, round_)
        if round_ + 1 < config.rounds and trial.should_prune():
            raise optuna.TrialPruned

    out = trial_folder(folder, config)
    settings = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
    given = folder / "demonstrations"
    try:
        train(out, config, Console(quiet=True), demonstrations=given, after_round=after_round)
    except DivergenceError as error:
        console.print(f"trial {trial.number}: {settings}: diverged", highlight=False)
        raise optuna.TrialPruned from error
    except optuna.TrialPruned:
        console.print(f"trial {trial.number}: {settings}: pruned at {100 * rates[-1]:.0f}%", highlight=False)
        raise
    paths = sorted((out / "rounds").glob("*/dev.json"))
    best = max(success_rate(read_dev(path)) for path in paths)  # a finished run reports no rounds
    console.print(f"trial {trial.number}: {settings}: dev success {100 * best:.0f}%", highlight=False)
    return best


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def trial_folder(folder: Path, config: TrainConfig) -> Path:
    """Where the run with this configuration stands."""
    text = config_to_json(replace(config, workers=1))
    return folder / "trials" / hashlib.sha256(text.encode()).hexdigest()[:12]


def finished(folder: Path, spec: StudySpec, base: TrainConfig) -> list[tuple[float, TrainConfig]]:
    """Dev success and run of every complete trial, the best first."""
    study = load_study(folder, spec)
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    found = [(float(trial.value or 0.0), with_settings(base, trial.params)) for trial in trials]
    return sorted(found, key=lambda entry: -entry[0])


@contextmanager
def _lock(folder: Path, number: int) -> Iterator[bool]:
    """Hold a trial; says False where another process holds it. The lock goes with the process."""
    with ExitStack() as stack:
        file = stack.enter_context((folder / "locks" / f"{number:05d}").open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
