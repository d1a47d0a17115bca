"""A training state in one safetensors file: weights, optimiser, torch's random state, position in the data.

One file, renamed into place, so that a kill leaves either the state before or the state after. The learning
rate is a function of the step and the batches are functions of (seed, round, step), so the position is all
that schedule and data need.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from navstack.errors import InputError
from navstack.files import write_atomically
from navstack.policies.imitation.config import TrainConfig, config_to_json

FORMAT = 1
_HEADER_KEY = "navstack"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run has come: the first `step` gradient steps of this round are done."""

    round: int
    step: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint's file holds."""

    position: Position
    config: dict[str, Any]  # TrainConfig as JSON
    tensors: dict[str, torch.Tensor]


def save_checkpoint(
    path: Path,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    position: Position,
    config: TrainConfig,
) -> None:
    """Write the state whole or not at all. Raises InputError when the disk is full."""
    tensors = {f"weights.{name}": value for name, value in network.state_dict().items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    tensors["random.torch"] = torch.get_rng_state()
    header = {
        "format": FORMAT,
        "round": position.round,
        "step": position.step,
        "config": json.loads(config_to_json(config)),
    }
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomically(path, save(contiguous, {_HEADER_KEY: json.dumps(header, sort_keys=True)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a state. Raises InputError that names the file and what is wrong with it."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if header["format"] > FORMAT:
            raise InputError(
                f"{path}: checkpoint format {header['format']}; this version reads up to {FORMAT}"
            )
        return Checkpoint(Position(header["round"], header["step"]), header["config"], tensors)
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a checkpoint of navstack train ({error})") from error


def restore(
    checkpoint: Checkpoint, network: torch.nn.Module, optimizer: torch.optim.Optimizer | None
) -> None:
    """Put weights, optimiser and torch's random state back. Raises InputError where they do not fit."""
    weights = _below("weights.", checkpoint.tensors)
    other = _other_network(network.state_dict(), weights)
    if other:
        raise InputError(f"the checkpoint belongs to another network: {other}")
    network.load_state_dict(weights)
    if optimizer is None:
        return
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below("optimizer.", checkpoint.tensors).items():
        number, key = name.split(".")
        state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(checkpoint.tensors["random.torch"])


def _other_network(wanted: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> str | None:
    """The first difference between two sets of weights, in words; None where they fit."""
    for name in sorted(wanted | found):
        here, there = (tuple(side[name].shape) if name in side else None for side in (wanted, found))
        if here != there:
            shapes = [f"shape {shape}" if shape is not None else "missing" for shape in (there, here)]
            return f"'{name}' is {shapes[0]} there and {shapes[1]} here"
    return None


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
