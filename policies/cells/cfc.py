"""Wired closed-form continuous-time (CfC) cells.

Hasani et al. 2022, "Closed-form continuous-time neural networks", Nature Machine Intelligence 4, in three
modes (named as in `ncps`, whose gate is the paper's with ff1 and ff2 exchanged):

    default    state' = (1 - gate) * tanh(ff1) + gate * tanh(ff2)             equation 10
    no_gate    state' = tanh(ff1) + gate * tanh(ff2)                          equation 9, one gate less
    pure       state' = A - A * exp(-dt * (|rate| + |ff1|)) * ff1             equation 7, the solution itself
    gate = sigmoid(time_a * dt + time_b)

where ff1, ff2, time_a and time_b are linear in (output of the layer before, own layer's state), and A and
rate are one trained value a neuron. The layers inter, command and motor run one after another within a time
step, so an input reaches the motor neurons at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from navstack.errors import InputError, nearest
from navstack.policies.cells.cell import Step, check_lengths, ended
from navstack.policies.cells.connectivity import connectivity_masks
from navstack.policies.cells.wavefront import CfcWavefront
from navstack.policies.wiring import Wiring

Mode = Literal["default", "no_gate", "pure"]
MODES: dict[str, tuple[str, ...]] = {
    "default": ("ff1", "ff2", "time_a", "time_b"),
    "no_gate": ("ff1", "ff2", "time_a", "time_b"),
    "pure": ("ff1",),
}
"""The linear heads of each mode."""

RATES = (-1.5, 0.0)  # of mode pure at the start, as powers of ten: time constants of 1 to 32 periods


class LayerWeights(NamedTuple):
    """What one layer's step takes, masks folded in. H is its neurons, P the outputs of the layer before."""

    forward: Tensor  # (P, heads H) from the layer before; heads side by side in the order of MODES
    recurrent: Tensor  # (H, heads H) from the own layer, or (1, heads H) where each neuron hears only itself
    bias: Tensor  # (1, heads H)
    pure: Tensor | None = None  # (2, H) A and |rate| of mode pure


def cfc_step(
    layers: Sequence[LayerWeights], x: Tensor, state: Tensor, dt: Tensor, mode: str = "default"
) -> tuple[Tensor, Tensor]:
    """One step: x (B, I), state (B, S), dt (B, 1) periods to the last layer's and all next states (B, S)."""
    heads = len(MODES[mode])
    sizes = [layer.bias.shape[1] // heads for layer in layers]
    next_states = []
    for layer, own in zip(layers, state.split(sizes, dim=1), strict=True):
        if layer.recurrent.shape[0] == 1:  # each neuron hears only itself
            recurrent = torch.cat([own] * heads, dim=1) * layer.recurrent
        else:
            recurrent = own @ layer.recurrent
        x = activation((x @ layer.forward + recurrent + layer.bias).chunk(heads, dim=1), dt, layer.pure, mode)
        next_states.append(x)
    return x, torch.cat(next_states, dim=1)


def activation(heads: tuple[Tensor, ...], dt: Tensor, pure: Tensor | None, mode: str) -> Tensor:
    """The equation of a mode; see the top of this file."""
    if pure is not None:
        amplitude, rate = pure
        return amplitude - amplitude * torch.exp(-dt * (rate + heads[0].abs())) * heads[0]
    ff1, ff2, time_a, time_b = heads
    gate = torch.sigmoid(time_a * dt + time_b)
    if mode == "no_gate":
        return torch.tanh(ff1) + gate * torch.tanh(ff2)
    return torch.tanh(ff1) * (1.0 - gate) + torch.tanh(ff2) * gate


class WiredCfC(nn.Module):
    """A CfC whose synapses follow a wiring. Only weights that the masks let through exist, in one vector.

    Args:
        input_size: features I; must be the wiring's inputs.
        wiring: its neurons' states, in running order, are the state.
        mode: `default`, `no_gate` or `pure`.
        connectivity: `ncps` or `strict`, see `ncps_masks` and `strict_masks`.

    Raises:
        InputError: unknown mode or connectivity, or a wiring drawn for another number of inputs.
    """

    positions: Tensor  # (E,) where each weight stands in the dense (heads, S, I + S)

    def __init__(
        self, input_size: int, wiring: Wiring, mode: Mode = "default", connectivity: str = "strict"
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise InputError(f"CfC mode '{mode}' not found{nearest(mode, MODES)} (modes: {', '.join(MODES)})")
        if input_size != wiring.inputs:
            raise InputError(
                f"wiring '{wiring.name}' has {wiring.inputs} inputs, but the cell gets {input_size}"
            )
        self.input_size, self.wiring, self.mode, self.connectivity = input_size, wiring, mode, connectivity
        self.heads = len(MODES[mode])
        self.backend, self.backends = "torch", ("torch", "numba") if mode == "default" else ("torch",)
        self._table: Any = None  # of the numba back end, made when it first runs
        self.masks = masks = connectivity_masks(connectivity, wiring)[: self.heads]
        fan_in = masks.sum(axis=2)
        self.register_buffer("positions", torch.from_numpy(np.flatnonzero(masks)), persistent=False)
        self.weight = nn.Parameter(_uniform(np.repeat(np.sqrt(3.0 / fan_in), fan_in.ravel())))
        self.bias = nn.Parameter(_uniform(1.0 / np.sqrt(fan_in)))
        if mode == "pure":
            self.amplitude = nn.Parameter(_uniform(np.ones(wiring.neurons)))
            self.rate = nn.Parameter(
                torch.logspace(-1.5, 0.0, wiring.neurons)
            )  # time constants 1 to 32 periods

    @property
    def state_size(self) -> int:
        """Size S of the state: one value a neuron."""
        return self.wiring.neurons

    @property
    def output_size(self) -> int:
        """Number M of motor neurons, whose states are the output."""
        return self.wiring.outputs

    @property
    def neurons(self) -> int:
        """Number of neurons."""
        return self.wiring.neurons

    @property
    def synapses(self) -> int:
        """Number of synapses of the wiring, sensory ones included."""
        return self.wiring.synapses

    def effective_parameters(self) -> int:
        """Weights whose mask is not zero, plus biases and what each neuron has of its own."""
        return sum(parameter.numel() for parameter in self.parameters())

    def raw_parameters(self) -> int:
        """The same with all entries of all layers' matrices (all heads, layer before and own layer)."""
        sources = (self.input_size, *self.wiring.layers[:-1])
        full = sum(
            self.heads * n * (before + n) for before, n in zip(sources, self.wiring.layers, strict=True)
        )
        return self.effective_parameters() - self.weight.numel() + full

    def multiply_adds(self) -> int:
        """One for each weight; a neuron's gate and interpolation take three more."""
        return self.weight.numel() + 3 * self.neurons

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first step: (batch, S) zeros."""
        return self.bias.new_zeros(batch, self.state_size)

    def dense_weights(self) -> Tensor:
        """All weights in their places, zero where masked: (heads, S, I + S), destination by source."""
        flat = self.weight.new_zeros(self.masks.size).scatter(0, self.positions, self.weight)
        return flat.view(self.masks.shape)

    def effective_weights(self) -> tuple[LayerWeights, ...]:
        """What `cfc_step` takes, layer by layer, masks folded in."""
        dense, pure, layers = self.dense_weights(), self._pure(), []
        previous = slice(0, self.input_size)
        for part in self.wiring.layer_slices():
            own = slice(self.input_size + part.start, self.input_size + part.stop)
            size = part.stop - part.start
            width = self.heads * size
            forward = dense[:, part, previous].reshape(width, -1).t()
            if self._hears_only_itself(part, own):
                recurrent = dense[:, part, own].diagonal(dim1=1, dim2=2).reshape(1, width)
            else:
                recurrent = dense[:, part, own].reshape(width, size).t()
            bias = self.bias[:, part].reshape(1, width)
            layers.append(LayerWeights(forward, recurrent, bias, None if pure is None else pure[:, part]))
            previous = own
        return tuple(layers)

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One time step.

        Args:
            x: (B, I) features.
            state: (B, S).
            dt: (B, 1) nominal periods since the step before.

        Returns:
            Output (B, M) and next state (B, S). For export, and for many steps, use `folded().step`.
        """
        return self.prepared()(x, state, dt)

    def prepared(self) -> Step:
        """`step` with the weights brought into form once, for many steps."""
        weights = self.effective_weights()

        def step(x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
            output, state = cfc_step(weights, x, state, dt, self.mode)
            return motors(output, self.output_size), state

        return step

    def sequence(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Many time steps, fast: what training calls; see `Core.sequence`. dt gets no gradient."""
        if dt.requires_grad:
            raise InputError("WiredCfC.sequence gives no gradient for dt: pass dt.detach(), or use step")
        check_lengths(lengths, x)
        run = self._compiled if self.backend == "numba" else self._wavefront
        outputs, last = run(x, state, dt, lengths)
        return ended(motors(outputs, self.output_size), lengths), last

    def _wavefront(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        dense = self.dense_weights()
        return CfcWavefront.apply(  # type: ignore[no-any-return, no-untyped-call]
            x,
            state,
            dt,
            dense[:, : self.wiring.layers[0], : self.input_size].contiguous(),
            dense[:, :, self.input_size :].contiguous(),
            self.bias,
            self._pure(),
            self.wiring.layers,
            lengths,
            self.mode,
        )

    def _compiled(
        self, x: Tensor, state: Tensor, dt: Tensor, lengths: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        from navstack.policies.cells.compiled.cfc import CompiledCfC, cfc_table

        if self._table is None:
            self._table = cfc_table(self.masks, self.wiring.layers)
        return CompiledCfC.apply(x, state, dt, self.weight, self.bias, self._table, self.output_size, lengths)  # type: ignore[no-any-return, no-untyped-call]

    def folded(self) -> FoldedCfC:
        """The cell as it stands now with its masks folded in: steps faster and exports small."""
        return FoldedCfC(self.effective_weights(), self.output_size, self.mode)

    def _pure(self) -> Tensor | None:
        """(2, S): A and |rate|, in mode pure only."""
        return torch.stack([self.amplitude, self.rate.abs()]) if self.mode == "pure" else None

    def _hears_only_itself(self, part: slice, own: slice) -> bool:
        size = part.stop - part.start
        return not (self.masks[:, part, own] & ~np.eye(size, dtype=bool)).any()


class FoldedCfC(nn.Module):
    """A `WiredCfC` frozen for inference: plain matrices, one set a layer, no masks."""

    def __init__(self, layers: Sequence[LayerWeights], outputs: int, mode: str) -> None:
        super().__init__()
        self.layer_count, self.output_size, self.mode = len(layers), outputs, mode
        for number, layer in enumerate(layers):
            for name, tensor in layer._asdict().items():
                if tensor is not None:
                    self.register_buffer(f"{name}_{number}", tensor.detach().contiguous().clone())
        self.state_size = sum(layer.bias.shape[1] // len(MODES[mode]) for layer in layers)

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first step: (batch, S) zeros."""
        return self.get_buffer("bias_0").new_zeros(batch, self.state_size)

    def effective_weights(self) -> tuple[LayerWeights, ...]:
        """What `cfc_step` takes, layer by layer."""
        buffers = dict(self.named_buffers())
        return tuple(
            LayerWeights(**{name: buffers.get(f"{name}_{number}") for name in LayerWeights._fields})  # type: ignore[arg-type]
            for number in range(self.layer_count)
        )

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One time step, as `WiredCfC.step`."""
        output, state = cfc_step(self.effective_weights(), x, state, dt, self.mode)
        return motors(output, self.output_size), state

    def forward(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """`step`, so that the module exports by itself."""
        return self.step(x, state, dt)


def motors(last_layer: Tensor, outputs: int) -> Tensor:
    """Of the last layer (..., H) the motor neurons (..., M), which stand last."""
    return last_layer if last_layer.shape[-1] == outputs else last_layer[..., -outputs:]


def _uniform(bound: NDArray[np.float64]) -> Tensor:
    """Uniform within +-bound, in torch's default precision, from torch's generator."""
    return (2.0 * torch.rand(bound.shape) - 1.0) * torch.from_numpy(bound).to(torch.get_default_dtype())
