"""The temporal convolutional network (Bai et al. 2018, "An empirical evaluation of generic convolutional and
recurrent networks for sequence modeling", section 3.2 and figure 1): residual blocks of two dilated causal
convolutions each (equation 1), without its weight normalisation and dropout.

It sees the last 61 frames. Its state is what its convolutions still need of the past, so that it flies frame
by frame like the others. It knows no time: dt is one more feature.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import DenseCell, check_lengths, ended, with_time

KERNEL = 3
DILATIONS = (1, 2, 4, 8)


class TcnCore(DenseCell):
    """Four residual blocks of `units` channels and a linear readout."""

    def __init__(self, input_size: int, units: int, outputs: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, outputs
        self.convolutions, self.shortcut = nn.ModuleList(), nn.Conv1d(input_size + 1, units, 1)
        channels = input_size + 1
        memories: list[tuple[int, int]] = []
        for dilation in DILATIONS:
            for into in (channels, units):
                self.convolutions.append(nn.Conv1d(into, units, KERNEL, dilation=dilation))
                memories.append((into, (KERNEL - 1) * dilation))
            channels = units
        self.readout = nn.Linear(units, outputs)
        self.memories = tuple(memories)  # channels and frames of the past that each convolution needs
        self.state_size = sum(channels * frames for channels, frames in memories)
        self.neurons = (len(self.convolutions) + 1) * units + outputs
        layers: list[nn.Conv1d | nn.Linear] = [*self._layers(), self.shortcut, self.readout]
        self.synapses = sum(layer.weight.numel() for layer in layers)

    def multiply_adds(self) -> int:
        """One for each weight."""
        return self.synapses

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        outputs, state = self._run(with_time(x, dt)[..., None], state, None)
        return outputs[:, 0], state

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """All frames at once; see `Core.sequence`."""
        check_lengths(lengths, x)
        outputs, state = self._run(with_time(x, dt[..., None]).transpose(1, 2), state, lengths)
        return ended(outputs, lengths), state

    def _run(self, x: Tensor, state: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features (B, I + 1, T) and state (B, S) to outputs (B, T, M) and the state at the end."""
        pasts = [
            past.unflatten(1, memory)
            for past, memory in zip(
                state.split([a * b for a, b in self.memories], 1), self.memories, strict=True
            )
        ]
        layers, after = self._layers(), []
        across = self.shortcut(x)
        for block in range(len(DILATIONS)):
            inside = x
            for number in (2 * block, 2 * block + 1):
                seen = torch.cat([pasts[number], inside], dim=2)
                after.append(self._past(seen, self.memories[number][1], lengths))
                inside = torch.relu(layers[number](seen))
            x = across = torch.relu(inside + across)
        return self.readout(x.transpose(1, 2)), torch.cat(after, dim=1)

    def _layers(self) -> list[nn.Conv1d]:
        return [layer for layer in self.convolutions if isinstance(layer, nn.Conv1d)]

    @staticmethod
    def _past(seen: Tensor, frames: int, lengths: Tensor | None) -> Tensor:
        """The last `frames` of each sequence in seen (B, C, frames + T), at its own end: (B, C frames)."""
        if lengths is None:
            return seen[:, :, seen.shape[2] - frames :].flatten(1)
        where = lengths[:, None] + torch.arange(frames, device=seen.device)
        return seen.gather(2, where[:, None].expand(-1, seen.shape[1], -1)).flatten(1)
