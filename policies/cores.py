"""The recurrent cores by name: the liquid ones and their rivals, all of the same size.

Each has about 20,000 effective parameters whatever the number of features, so that comparisons are like for
like; the vision in front of it is the same for all. A new core is one file in `cells/` and one line here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from navstack.errors import InputError, nearest
from navstack.policies.cells.cell import (
    COMMAND_SIZE,
    PRESET_PARAMETERS,
    PRESET_TOLERANCE,
    Core,
    check_size,
    largest_units,
)
from navstack.policies.cells.cfc import MODES, WiredCfC
from navstack.policies.cells.connectivity import connectivity_masks
from navstack.policies.cells.ct_rnn import CtRnnCore
from navstack.policies.cells.dense_cfc import DenseCfC
from navstack.policies.cells.gru import GruCore
from navstack.policies.cells.gru_ode import GruOdeCore
from navstack.policies.cells.lstm import LstmCore
from navstack.policies.cells.ltc import PER_NEURON, PER_SYNAPSE, LtcCore
from navstack.policies.cells.mixed_memory import MixedMemory
from navstack.policies.cells.mlp import MlpCore
from navstack.policies.cells.ode_rnn import OdeRnnCore
from navstack.policies.cells.ssm import SsmCore
from navstack.policies.cells.tcn import TcnCore
from navstack.policies.wiring import DEFAULT_SEED, Wiring, auto_ncp, fully_connected, random_sparse
from navstack.policies.wiring_file import is_wiring_file, read_wiring

MOST_UNITS = 400


@dataclass(frozen=True, slots=True)
class Preset:
    """A core by name: called with the number of features, it gives one with fresh weights.

    Raises InputError, when called, for a number of features that no core of this size can have.
    """

    what: str  # for the list
    build: Callable[[int], Any]  # features to core

    def __call__(self, input_size: int) -> nn.Module:
        """A core (see `cells.cell.Core`) for this many features, its size checked."""
        core: nn.Module = self.build(input_size)
        check_size(cast(Core, core))
        return core


def check_core(name: str) -> None:
    """Raise InputError, with the nearest name, unless this is a network or the path of a wiring file."""
    if is_wiring_file(name):
        _own_wiring(name)
    elif name not in CORES:
        raise InputError(
            f"network '{name}' not found{nearest(name, CORES)} (networks: {', '.join(CORES)}; or the path"
            " of a wiring file that ends in .json)"
        )


def build_core(name: str, input_size: int) -> nn.Module:
    """The core with this name, or a strict CfC with the wiring in this file, with fresh weights.

    Raises InputError for an unknown name, a wiring file that is broken, has another number of inputs or other
    motor neurons than a policy's four, and a core of another size than all have.
    """
    check_core(name)
    if not is_wiring_file(name):
        return CORES[name](input_size)
    core = WiredCfC(input_size, _own_wiring(name))
    try:
        check_size(core)
    except InputError as error:
        raise InputError(f"{name}: {error}; change its neurons or synapses") from error
    return core


def _own_wiring(name: str) -> Wiring:
    wiring = read_wiring(Path(name))
    if wiring.outputs != COMMAND_SIZE:
        raise InputError(
            f"{name}: there are {wiring.outputs} motor neurons; a policy needs {COMMAND_SIZE}: forward, left,"
            " up and yaw rate"
        )
    return wiring


def cfc_preset(
    input_size: int, connectivity: str = "strict", seed: int = DEFAULT_SEED, mode: str = "default"
) -> WiredCfC:
    """A wired CfC: an AutoNCP wiring of sparsity 0.5 with the neurons that give 20,000 parameters.

    Raises InputError for an unknown connectivity or an input size that no such core can have.
    """
    wiring = _cfc_wiring(input_size, connectivity, seed, mode)
    cell = WiredCfC(input_size, wiring, mode, connectivity)  # type: ignore[arg-type]
    check_size(cell)
    return cell


@functools.cache
def _cfc_wiring(input_size: int, connectivity: str, seed: int, mode: str) -> Wiring:
    heads = len(MODES[mode])

    def count(wiring: Wiring) -> int:
        own = 2 * wiring.neurons if mode == "pure" else 0
        masks = connectivity_masks(connectivity, wiring)[:heads]
        return int(masks.sum()) + heads * wiring.neurons + own

    return sized_ncp(input_size, count, seed)


def sized_ncp(input_size: int, count: Callable[[Wiring], int], seed: int = DEFAULT_SEED) -> Wiring:
    """The smallest AutoNCP wiring for which `count` gives at least 20,000 parameters.

    Raises InputError where even the smallest has more than such a core may have.
    """
    few, many = COMMAND_SIZE + 3, MOST_UNITS
    while few < many:  # the parameters grow with the units, up to a few synapses of chance
        units = (few + many) // 2
        if count(auto_ncp(input_size, units, COMMAND_SIZE, seed=seed)) < PRESET_PARAMETERS:
            few = units + 1
        else:
            many = units
    wiring = auto_ncp(input_size, few, COMMAND_SIZE, seed=seed)
    if abs(count(wiring) - PRESET_PARAMETERS) > PRESET_TOLERANCE:
        raise InputError(
            f"no core of {PRESET_PARAMETERS:,} effective parameters has {input_size} inputs: use fewer"
        )
    return wiring


@functools.cache
def _ltc_wiring(input_size: int) -> Wiring:
    return sized_ncp(input_size, ltc_parameters)


def ltc_parameters(wiring: Wiring) -> int:
    """Effective parameters of an LTC with this wiring."""
    mapped = 2 * (wiring.inputs + wiring.outputs)
    return PER_SYNAPSE * wiring.synapses + PER_NEURON * wiring.neurons + mapped


def _one_layer(input_size: int, sparsity: float, per_pair: int, draw: Callable[[int], Wiring]) -> Wiring:
    """The largest wiring of one layer whose pairs, `per_pair` parameters each, stay within 20,000."""
    units = COMMAND_SIZE
    while round(per_pair * (1.0 - sparsity) * (units + 1) * (input_size + units + 1)) < PRESET_PARAMETERS:
        units += 1
    return draw(units)


def _ltc_full(input_size: int) -> LtcCore:
    wiring = _one_layer(
        input_size, 0.0, PER_SYNAPSE, lambda units: fully_connected(input_size, units, COMMAND_SIZE)
    )
    return LtcCore(input_size, wiring)


def _cfc_random(input_size: int) -> WiredCfC:
    heads = len(MODES["default"])
    wiring = _one_layer(
        input_size, 0.75, heads, lambda units: random_sparse(input_size, units, COMMAND_SIZE, 0.75)
    )
    return WiredCfC(input_size, wiring)


def _mixed(input_size: int) -> MixedMemory:
    """The largest that fits: a mixed memory has four LSTM gates for each neuron of its cell."""
    best = None
    for units in range(COMMAND_SIZE + 3, MOST_UNITS):
        core = MixedMemory(WiredCfC(input_size, auto_ncp(input_size, units, COMMAND_SIZE)))
        if core.effective_parameters() > PRESET_PARAMETERS:
            break
        best = core
    assert best is not None
    return best


def _dense(kind: Callable[[int, int, int], nn.Module]) -> Callable[[int], nn.Module]:
    """A cell without a wiring, with as many units as fit."""

    def build(input_size: int) -> nn.Module:
        units = largest_units(lambda units: kind(input_size, units, COMMAND_SIZE), least=2)
        return kind(input_size, units, COMMAND_SIZE)

    return build


CORES: dict[str, Preset] = {
    "cfc-strict": Preset("CfC, every head follows the NCP wiring; ships", cfc_preset),
    "cfc-ncps": Preset("CfC, wired as in ncps", lambda inputs: cfc_preset(inputs, "ncps")),
    "cfc-no-gate": Preset(
        "CfC without its second gate, strict NCP", lambda inputs: cfc_preset(inputs, mode="no_gate")
    ),
    "cfc-pure": Preset("CfC, the pure solution, strict NCP", lambda inputs: cfc_preset(inputs, mode="pure")),
    "cfc-mixed": Preset("CfC with mixed memory, strict NCP", _mixed),
    "cfc-random": Preset("CfC, random synapses in one layer", _cfc_random),
    "cfc-dense": Preset("CfC with a dense backbone", _dense(DenseCfC)),
    "ltc-ncp": Preset("LTC, NCP wiring, fused solver", lambda inputs: LtcCore(inputs, _ltc_wiring(inputs))),
    "ltc-full": Preset("LTC, fully connected, fused solver", _ltc_full),
    "lstm": Preset("LSTM", _dense(LstmCore)),
    "gru": Preset("GRU", _dense(GruCore)),
    "gru-ode": Preset("GRU-ODE, Euler", _dense(GruOdeCore)),
    "ode-rnn": Preset("ODE-RNN, Euler", _dense(OdeRnnCore)),
    "ct-rnn": Preset("CT-RNN, Euler", _dense(CtRnnCore)),
    "tcn": Preset("temporal convolutions over 61 frames", _dense(TcnCore)),
    "ssm": Preset("S5: a diagonal state space", _dense(SsmCore)),
    "mlp": Preset("frame by frame, no memory", _dense(MlpCore)),
}
"""Recurrent cores by name; called with the number of features. A new one is one line here."""
