"""Mixed memory: a recurrent cell whose state is also carried by an LSTM.

Lechner & Hasani 2020, "Learning long-term dependencies in irregularly-sampled time series" (the ODE-LSTM,
algorithm 1): the gated memory keeps gradients alive over long spans, the cell adds time.

    h~, c' = LSTM(x, (h, c)),   h' = cell(x, h~, dt)

The LSTM is that of `ncps`, whose forget gate begins at +1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import Step, run_steps


class MixedMemory(nn.Module):
    """A cell with an LSTM of as many units as its state has values; the state is [h, c].

    Args:
        cell: a core that can be prepared for many steps: `WiredCfC`, `DenseCfC` or `LtcCore`.
    """

    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell, units = cell, cell.state_size
        self.input_size, self.output_size, self.state_size = cell.input_size, cell.output_size, 2 * units
        self.connectivity, self.neurons = cell.connectivity, cell.neurons + units
        self.synapses = cell.synapses + units * (cell.input_size + units)
        self.input_map = nn.Linear(cell.input_size, 4 * units)
        self.recurrent_map = nn.Linear(units, 4 * units, bias=False)
        nn.init.xavier_uniform_(self.input_map.weight)
        nn.init.uniform_(self.input_map.bias, -0.1, 0.1)
        nn.init.orthogonal_(self.recurrent_map.weight)

    def effective_parameters(self) -> int:
        """The cell's and the LSTM's."""
        return int(self.cell.effective_parameters()) + self._memory_parameters()

    def raw_parameters(self) -> int:
        """The same with the cell's masked entries."""
        return int(self.cell.raw_parameters()) + self._memory_parameters()

    def _memory_parameters(self) -> int:
        layers = (self.input_map, self.recurrent_map)
        return sum(parameter.numel() for layer in layers for parameter in layer.parameters())

    def multiply_adds(self) -> int:
        """The cell's, four gates, three products."""
        units = self.state_size // 2
        return int(self.cell.multiply_adds()) + 4 * units * (self.input_size + units) + 3 * units

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first frame: (batch, S) zeros."""
        return self.input_map.bias.new_zeros(batch, self.state_size)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        return self.prepared()(x, state, dt)

    def prepared(self) -> Step:
        """`step` with the cell's weights brought into form once, for many steps."""
        inside: Step = self.cell.prepared()

        def step(x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
            h, c = state.chunk(2, dim=1)
            new, into, keep, out = (self.input_map(x) + self.recurrent_map(h)).chunk(4, dim=1)
            c = c * torch.sigmoid(keep + 1.0) + torch.tanh(new) * torch.sigmoid(into)
            output, h = inside(x, torch.tanh(c) * torch.sigmoid(out), dt)
            return output, torch.cat([h, c], dim=1)

        return step

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames; see `Core.sequence`."""
        return run_steps(self.prepared(), x, state, dt, lengths)
