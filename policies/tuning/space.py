"""What is tuned, and between which bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import optuna

from navstack.errors import InputError
from navstack.policies.imitation.config import TrainConfig
from navstack.policies.variants import VARIANTS

Draw = Callable[[optuna.Trial], Any]
WIRED = ("cfc-strict", "cfc-ncps", "ltc-ncp")
SOLVERS = ("fused", "euler")  # of an LTC: those that export and that training time allows


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that is tuned."""

    draw: Draw
    usual: Any  # what the first trials are made with
    networks: tuple[str, ...] | None = None  # that have it; None: all


SETTINGS: dict[str, Setting] = {
    "sparsity": Setting(lambda trial: trial.suggest_float("sparsity", 0.2, 0.9), 0.5, WIRED),
    "solver": Setting(lambda trial: trial.suggest_categorical("solver", SOLVERS), "fused", ("ltc-ncp",)),
    "solver_steps": Setting(lambda trial: trial.suggest_int("solver_steps", 2, 8), 6, ("ltc-ncp",)),
    "learning_rate": Setting(lambda trial: trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True), 3e-3),
    "weight_decay": Setting(lambda trial: trial.suggest_float("weight_decay", 1e-3, 0.3, log=True), 0.03),
}
"""Settings of `TrainConfig` by name, beside the number of neurons. A new one is one line here."""


def settings_of(network: str) -> dict[str, Setting]:
    """What is tuned for a network. Raises InputError where it comes in one size."""
    if network not in VARIANTS:
        raise InputError(f"network '{network}' comes in one size; to be tuned are {', '.join(VARIANTS)}")
    return {
        name: setting
        for name, setting in SETTINGS.items()
        if setting.networks is None or network in setting.networks
    }


def draw_config(trial: optuna.Trial, base: TrainConfig, neurons: tuple[int, ...]) -> TrainConfig:
    """The run of a trial."""
    drawn: dict[str, Any] = {"neurons": trial.suggest_categorical("neurons", neurons)}
    drawn |= {name: setting.draw(trial) for name, setting in settings_of(base.network).items()}
    return with_settings(base, drawn)


def with_settings(base: TrainConfig, drawn: dict[str, Any]) -> TrainConfig:
    """The run with these settings; the later rounds' learning rate goes with the first's."""
    later = base.later_rate * drawn["learning_rate"] / base.learning_rate
    return replace(base, **drawn, later_rate=later)


def usual(network: str, neurons: int) -> dict[str, Any]:
    """The settings of the first trial with this number of neurons."""
    return {"neurons": neurons, **{name: setting.usual for name, setting in settings_of(network).items()}}
