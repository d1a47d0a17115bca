"""The gated recurrent unit (Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder").

Equations 5 to 8 in the form of PyTorch, whose reset gate acts after the recurrent product:

    r, z = sigmoid(W [x, h] + b),   n = tanh(W_n x + b_n + r * (U_n h + c_n)),   h' = (1 - z) * n + z * h

It knows no time: dt is one more feature. Its training path is `torch.nn.GRU`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import DenseCell, at_the_end, check_lengths, ended, with_time


class GruCore(DenseCell):
    """One GRU layer and a linear readout; the state is h."""

    def __init__(self, input_size: int, units: int, outputs: int) -> None:
        super().__init__()
        self.input_size, self.state_size, self.output_size = input_size, units, outputs
        self.neurons, self.synapses = units + outputs, units * (input_size + 1 + units + outputs)
        self.gru = nn.GRU(input_size + 1, units, batch_first=True)
        self.readout = nn.Linear(units, outputs)

    def multiply_adds(self) -> int:
        """Three gates, the state's three products, the readout."""
        units = self.state_size
        return 3 * units * (self.input_size + 1 + units) + 3 * units + units * self.output_size

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        from_input, from_state, *biases = self.gru.all_weights[0]
        heard = nn.functional.linear(with_time(x, dt), from_input, biases[0])
        state = gru_update(heard, nn.functional.linear(state, from_state, biases[1]), state)
        return self.readout(state), state

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames; see `Core.sequence`."""
        check_lengths(lengths, x)
        hidden, _ = self.gru(with_time(x, dt[..., None]), state.unsqueeze(0).contiguous())
        return ended(self.readout(hidden), lengths), at_the_end(hidden, lengths)


def gru_update(heard: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
    """The next state (B, S) from a GRU's input and recurrent products (B, 3 S): reset, update, new."""
    reset, update, new = heard.chunk(3, dim=1)
    reset_h, update_h, new_h = recurrent.chunk(3, dim=1)
    gate = torch.sigmoid(update + update_h)
    return (1.0 - gate) * torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h) + gate * state
