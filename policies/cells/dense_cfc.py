"""The dense CfC: no wiring, all heads read a common backbone (Hasani et al. 2022, figure 1 and Methods).

    z = backbone([x, h]),   h' = equation of the mode (see `cells/cfc.py`), its heads linear in z

The backbone's activation is LeCun's tanh, 1.7159 tanh(0.666 z), as in `ncps`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from navstack.errors import InputError, nearest
from navstack.policies.cells.cell import DenseCell, Step
from navstack.policies.cells.cfc import MODES, RATES, activation


class DenseCfC(DenseCell):
    """A CfC with a backbone and a linear readout; the state is h.

    Args:
        input_size: features I.
        units: neurons with a state.
        outputs: of the readout.
        mode: `default`, `no_gate` or `pure`.
        backbone: units of each of the backbone's layers.

    Raises InputError for an unknown mode.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        outputs: int,
        mode: str = "default",
        backbone: tuple[int, ...] = (64,),
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise InputError(f"CfC mode '{mode}' not found{nearest(mode, MODES)} (modes: {', '.join(MODES)})")
        self.input_size, self.state_size, self.output_size, self.mode = input_size, units, outputs, mode
        sizes = (input_size + units, *backbone)
        self.backbone = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.heads = nn.Linear(sizes[-1], len(MODES[mode]) * units)
        if mode == "pure":
            self.amplitude = nn.Parameter(2.0 * torch.rand(units) - 1.0)
            self.rate = nn.Parameter(torch.logspace(*RATES, units))
        self.readout = nn.Linear(units, outputs)
        self.neurons = sum(backbone) + units + outputs
        pairs = sum(a * b for a, b in pairwise(sizes))
        self.synapses = pairs + units * (sizes[-1] + outputs)

    def multiply_adds(self) -> int:
        """One for each weight; a neuron's gate and interpolation take three more."""
        layers = [layer for layer in self.modules() if isinstance(layer, nn.Linear)]
        return sum(layer.weight.numel() for layer in layers) + 3 * self.state_size

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        z = torch.cat([x, state], dim=1)
        for layer in self.backbone:
            z = 1.7159 * torch.tanh(0.666 * layer(z))
        pure = torch.stack([self.amplitude, self.rate.abs()]) if self.mode == "pure" else None
        state = activation(self.heads(z).chunk(len(MODES[self.mode]), dim=1), dt, pure, self.mode)
        return self.readout(state), state

    def prepared(self) -> Step:
        """`step`: there is nothing to prepare."""
        return self.step
