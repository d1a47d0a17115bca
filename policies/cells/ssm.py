"""A diagonal state-space network with time: S5 (Smith et al. 2023, "Simplified state space layers for
sequence modeling"), each complex mode as a pair of real numbers, with steps as long as the time that passed.

    dh/dt = Lambda h + B u,   y = C h + D u                                    (equation 1, diagonal)
    h' = exp(Lambda delta dt) h + (exp(Lambda delta dt) - 1) / Lambda * B u    (equation 6, zero-order hold)

Lambda starts as -1/2 + i pi n (S4D-Lin; Gu et al. 2022, "On the parameterization and initialization of
diagonal state space models", section 4.3). delta is a trained time scale of each mode, as in S5 for irregular
series (section 3.3); Mamba's would depend on the input. A layer is norm, state space, GELU, gate, residual.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from navstack.policies.cells.cell import DenseCell, at_the_end, check_lengths, ended

LAYERS = 2
FASTEST, SLOWEST = 0.5, 0.005  # delta at the start, evenly in its logarithm: time scales of 4 to 400 periods


class SsmCore(DenseCell):
    """An encoder, two S5 layers, a linear readout; the state is real and imaginary parts of all modes."""

    def __init__(self, input_size: int, units: int, outputs: int) -> None:
        super().__init__()
        self.input_size, self.output_size = input_size, outputs
        self.encoder, self.readout = nn.Linear(input_size, units), nn.Linear(units, outputs)
        self.layers = nn.ModuleList(S5Layer(units, units // 2) for _ in range(LAYERS))
        self.state_size = LAYERS * 2 * (units // 2)
        self.neurons = units + LAYERS * (units + 2 * (units // 2)) + outputs
        self.synapses = units * (input_size + outputs) + LAYERS * (4 * (units // 2) * units + units * units)

    def multiply_adds(self) -> int:
        """One for each matrix entry; each mode turns by a complex product (4) and adds an input (4)."""
        units = self.encoder.out_features
        return self.synapses + LAYERS * (8 * (units // 2) + 2 * units)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One frame; see `Core.step`."""
        outputs, states = self._run(x[:, None], state, dt)
        return outputs[:, 0], states[:, 0]

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """All products over all frames at once, then a loop over the modes; see `Core.sequence`."""
        check_lengths(lengths, x)
        outputs, states = self._run(x, state, dt)
        return ended(outputs, lengths), at_the_end(states, lengths)

    def _run(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, I) to outputs (B, T, M) and states (B, T, S)."""
        x, states = self.encoder(x), []
        for layer, start in zip(self.layers, state.chunk(LAYERS, dim=1), strict=True):
            x, modes = layer(x, start, dt)
            states.append(modes)
        return self.readout(x), torch.cat(states, dim=2)


class S5Layer(nn.Module):
    """Norm, a diagonal state space of complex modes, GELU, gate, residual."""

    def __init__(self, units: int, modes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(units)
        self.decay = nn.Parameter(torch.full((modes,), math.log(0.5)))  # log of -Re Lambda
        self.frequency = nn.Parameter(math.pi * torch.arange(modes, dtype=torch.get_default_dtype()))
        self.scale = nn.Parameter(torch.linspace(math.log(SLOWEST), math.log(FASTEST), modes))  # log delta
        self.into = nn.Linear(units, 2 * modes, bias=False)  # B: real parts, imaginary parts
        self.out = nn.Linear(2 * modes, units, bias=False)  # C
        self.through = nn.Parameter(torch.ones(units))  # D
        self.gate = nn.Linear(units, units)

    def forward(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, H), state (B, 2 P), dt (B, T) to outputs (B, T, H) and states (B, T, 2 P)."""
        inside = self.norm(x)
        turn, held = self._discretised(dt)
        pushed = _complex_product(self.into(inside).chunk(2, dim=-1), held)
        states = _recurrence(turn, pushed, state.chunk(2, dim=-1))
        y = nn.functional.gelu(self.out(states) + self.through * inside)
        return x + y * torch.sigmoid(self.gate(y)), states

    def _discretised(self, dt: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """exp(Lambda delta dt) and (exp(Lambda delta dt) - 1) / Lambda, each (B, T, P) real and imaginary."""
        real, imaginary = -torch.exp(self.decay), self.frequency
        span = torch.exp(self.scale) * dt[..., None]
        size = torch.exp(real * span)
        turn = size * torch.cos(imaginary * span), size * torch.sin(imaginary * span)
        norm = real * real + imaginary * imaginary
        inverse = (real / norm).expand_as(span), (-imaginary / norm).expand_as(span)
        return turn, _complex_product((turn[0] - 1.0, turn[1]), inverse)


def _complex_product(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def _recurrence(
    turn: tuple[Tensor, Tensor], pushed: tuple[Tensor, Tensor], state: tuple[Tensor, ...]
) -> Tensor:
    """h' = turn * h + pushed, frame after frame: states (B, T, 2 P)."""
    states = []
    for angles, inputs in zip(
        zip(*(part.unbind(1) for part in turn), strict=True),
        zip(*(part.unbind(1) for part in pushed), strict=True),
        strict=True,
    ):
        turned = _complex_product(angles, state)
        state = turned[0] + inputs[0], turned[1] + inputs[1]
        states.append(torch.cat(state, dim=1))
    return torch.stack(states, dim=1)
