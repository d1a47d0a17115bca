"""A plain network that sees one frame at a time: what is left when memory and time are taken away.

Two tanh layers and a linear readout. It ignores dt: without a memory the time since the frame before says
nothing of the frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import DenseCell, check_lengths, ended


class MlpCore(DenseCell):
    """Frame by frame; its state is one zero that is passed through."""

    def __init__(self, input_size: int, units: int, outputs: int) -> None:
        super().__init__()
        self.input_size, self.state_size, self.output_size = input_size, 1, outputs
        self.neurons, self.synapses = 2 * units + outputs, units * (input_size + units + outputs)
        self.layers = nn.Sequential(
            nn.Linear(input_size, units),
            nn.Tanh(),
            nn.Linear(units, units),
            nn.Tanh(),
            nn.Linear(units, outputs),
        )

    def multiply_adds(self) -> int:
        """One for each weight."""
        return self.synapses

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        return self.layers(x), state * torch.ones_like(dt)

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """All frames at once; see `Core.sequence`."""
        check_lengths(lengths, x)
        return ended(self.layers(x), lengths), state
