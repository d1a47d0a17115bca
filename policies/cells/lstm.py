"""The long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).

In the form of PyTorch (equations of Sak et al. 2014 without projection and peepholes):

    i, f, o = sigmoid(W [x, h] + b),   g = tanh(W_g [x, h] + b_g),   c' = f * c + i * g,   h' = o * tanh(c')

It knows no time: dt is one more feature. Its training path is `torch.nn.LSTM`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import DenseCell, check_lengths, ended, with_time


class LstmCore(DenseCell):
    """One LSTM layer and a linear readout; the state is [h, c]."""

    def __init__(self, input_size: int, units: int, outputs: int) -> None:
        super().__init__()
        self.input_size, self.state_size, self.output_size = input_size, 2 * units, outputs
        self.neurons, self.synapses = units + outputs, units * (input_size + 1 + units + outputs)
        self.lstm = nn.LSTM(input_size + 1, units, batch_first=True)
        self.readout = nn.Linear(units, outputs)

    def multiply_adds(self) -> int:
        """Four gates, the cell's three products, the readout."""
        units = self.lstm.hidden_size
        return 4 * units * (self.input_size + 1 + units) + 3 * units + units * self.output_size

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        from_input, from_state, *biases = self.lstm.all_weights[0]
        h, c = state.chunk(2, dim=1)
        gates = nn.functional.linear(with_time(x, dt), from_input, biases[0])
        i, f, g, o = (gates + nn.functional.linear(h, from_state, biases[1])).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return self.readout(h), torch.cat([h, c], dim=1)

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many frames; see `Core.sequence`."""
        check_lengths(lengths, x)
        x = with_time(x, dt[..., None])
        start = tuple(part.unsqueeze(0).contiguous() for part in state.chunk(2, dim=1))
        if lengths is None:
            hidden, (h, c) = self.lstm(x, start)
        else:
            pack = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), True, enforce_sorted=False)
            packed, (h, c) = self.lstm(pack, start)
            hidden, _ = nn.utils.rnn.pad_packed_sequence(packed, True, total_length=x.shape[1])
        return ended(self.readout(hidden), lengths), torch.cat([h[0], c[0]], dim=1)
