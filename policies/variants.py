"""Cores of other sizes than the presets': for the question how many neurons a task needs.

The presets of `cores.py` have about 20,000 parameters each, so that comparisons are like for like. Tuning
asks for others: a number of neurons, a density of the wiring, a solver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from navstack.errors import InputError
from navstack.policies.cells.cell import COMMAND_SIZE
from navstack.policies.cells.cfc import WiredCfC
from navstack.policies.cells.gru import GruCore
from navstack.policies.cells.lstm import LstmCore
from navstack.policies.cells.ltc import LtcCore
from navstack.policies.wiring import auto_ncp


@dataclass(frozen=True, slots=True)
class Variant:
    """What a core may have other than its preset."""

    neurons: int  # motor neurons included
    sparsity: float = 0.5  # of the wiring, 0.1 (dense) to 1; of no meaning where there is none
    solver: str = "fused"  # of an LTC
    solver_steps: int = 6  # of an LTC, a frame


def _cfc(connectivity: str) -> Callable[[int, Variant], nn.Module]:
    def build(inputs: int, variant: Variant) -> nn.Module:
        wiring = auto_ncp(inputs, variant.neurons, COMMAND_SIZE, variant.sparsity)
        return WiredCfC(inputs, wiring, "default", connectivity)

    return build


def _ltc(inputs: int, variant: Variant) -> nn.Module:
    wiring = auto_ncp(inputs, variant.neurons, COMMAND_SIZE, variant.sparsity)
    return LtcCore(inputs, wiring, variant.solver, variant.solver_steps)


VARIANTS: dict[str, Callable[[int, Variant], nn.Module]] = {
    "cfc-strict": _cfc("strict"),
    "cfc-ncps": _cfc("ncps"),
    "ltc-ncp": _ltc,
    "lstm": lambda inputs, variant: LstmCore(inputs, variant.neurons, COMMAND_SIZE),
    "gru": lambda inputs, variant: GruCore(inputs, variant.neurons, COMMAND_SIZE),
}
"""Networks that come in other sizes, by name. A new one is one line here."""


def build_variant(network: str, inputs: int, variant: Variant) -> nn.Module:
    """A core with fresh weights. Raises InputError for a network or a number of neurons that cannot be."""
    if network not in VARIANTS:
        raise InputError(f"network '{network}' comes in one size; in others come {', '.join(VARIANTS)}")
    if variant.neurons < 1:
        raise InputError(f"a network needs at least 1 neuron, not {variant.neurons}")
    return VARIANTS[network](inputs, variant)
