"""What a run says of its policies: dev figures and the card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from navstack.contract import PolicyCard
from navstack.errors import InputError
from navstack.policies.export import policy_card
from navstack.policies.imitation.config import TrainConfig, config_to_json
from navstack.policies.network import NetworkSpec, PolicyNetwork
from navstack.policies.variants import Variant

TARGET_KINDS = ("chair", "barrel", "cone", "box", "ball")  # the marker class that every training world shows


def success_rate(rows: Sequence[dict[str, Any]]) -> float:
    """Success over all rows' flights."""
    return float(sum(row["successes"] for row in rows) / sum(row["episodes"] for row in rows))


def ends_early(rates: Sequence[float], patience: int) -> bool:
    """Whether the best of the rounds so far (the earliest of equals) lies at least `patience` rounds back."""
    return len(rates) - 1 - rates.index(max(rates)) >= patience


def read_dev(path: Path) -> list[dict[str, Any]]:
    """The rows of a dev.json. Raises InputError where it is broken."""
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        success_rate(rows)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise InputError(
            f"{path}: not the dev figures of a training run ({error}); remove it to fly them anew"
        ) from error
    return rows


def network_spec(config: TrainConfig) -> NetworkSpec:
    """The network that a run trains."""
    sizes = config.neurons, config.sparsity, config.solver, config.solver_steps
    return NetworkSpec(preset=config.network, variant=Variant(*sizes) if config.neurons else None)


def run_card(
    config: TrainConfig,
    network: PolicyNetwork,
    spec: NetworkSpec,
    round_: int,
    evaluation: tuple[dict[str, Any], ...] = (),
) -> PolicyCard:
    """The card of the network after a round. It says nothing of paths, dates and machines."""
    deciding = json.loads(config_to_json(config))
    training = {
        "by": "imitation of the task's expert: behaviour cloning, then DAgger",
        "config": {
            key: value for key, value in deciding.items() if key not in ("workers", "checkpoint_seconds")
        },
        "worlds": list(config.collect.worlds),
        "round": round_,
        "episodes": sum(config.episodes(number) for number in range(round_ + 1)),
        "gradient_steps": sum(config.steps[: round_ + 1]),
        "seed": config.seed,
    }
    return policy_card(network, spec, config.collect.env, TARGET_KINDS, training, evaluation)
