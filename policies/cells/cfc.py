"""Wired closed-form continuous-time (CfC) cells.

Hasani et al. 2022, "Closed-form continuous-time neural networks", Nature Machine Intelligence 4, equation 10
(here named as in `ncps`, whose gate is the paper's with ff1 and ff2 exchanged):

    state' = (1 - gate) * tanh(ff1) + gate * tanh(ff2),   gate = sigmoid(time_a * dt + time_b)

where ff1, ff2, time_a and time_b are linear in (output of the layer before, own layer's state). The layers
inter, command and motor run one after another within a time step, so an input reaches the motor neurons at
once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from navstack.errors import InputError, nearest
from navstack.policies.cells.wavefront import FF1, FF2, HEADS, TIME_A, TIME_B, CfcWavefront
from navstack.policies.wiring import DEFAULT_SEED, Wiring, auto_ncp

Mode = Literal["default"]
MODES: tuple[str, ...] = ("default",)
HEAD_NAMES = ("ff1", "ff2", "time_a", "time_b")
PRESET_PARAMETERS = 20_000  # the middle of the 18,000 to 22,000 that a core may have
PRESET_TOLERANCE = 2_000
COMMAND_SIZE = 4  # motor neurons of a policy: forward, left, up, yaw_rate


def ncps_masks(wiring: Wiring) -> NDArray[np.bool_]:
    """Connectivity of `ncps`: (4, neurons, inputs + neurons), head by destination by source.

    The wiring masks what ff1 and ff2 hear of the layer before. The time heads hear all of the layer before,
    and every head all of its own layer; synapses within a layer play no role.
    """
    masks = np.zeros((HEADS, wiring.neurons, wiring.inputs + wiring.neurons), dtype=bool)
    previous = slice(0, wiring.inputs)
    wired = np.concatenate([wiring.sensory, wiring.internal]) != 0
    for layer in wiring.layer_slices():
        own = slice(wiring.inputs + layer.start, wiring.inputs + layer.stop)
        masks[:, layer, own] = True
        masks[[TIME_A, TIME_B], layer, previous] = True
        masks[[FF1, FF2], layer, previous] = wired[previous, layer].T
        previous = own
    return masks


def strict_masks(wiring: Wiring) -> NDArray[np.bool_]:
    """The wiring taken seriously: (4, neurons, inputs + neurons), head by destination by source.

    All four heads hear exactly the neuron's synapses, those within the layer included, and the neuron's own
    state: that is no synapse but its membrane, which in the equation that CfC solves (Hasani et al. 2022,
    equation 1) enters each neuron's derivative. Without it inter and motor neurons would have no memory.
    """
    wired = np.concatenate([wiring.sensory, wiring.internal | np.eye(wiring.neurons, dtype=np.int8)]).T != 0
    return np.broadcast_to(wired, (HEADS, *wired.shape)).copy()


CONNECTIVITIES: dict[str, Callable[[Wiring], NDArray[np.bool_]]] = {
    "ncps": ncps_masks,
    "strict": strict_masks,
}
"""Which weights of the heads exist, by name."""


def connectivity_masks(name: str, wiring: Wiring) -> NDArray[np.bool_]:
    """The masks of a connectivity by name. Raises InputError that names the nearest one."""
    if name not in CONNECTIVITIES:
        raise InputError(
            f"connectivity '{name}' not found{nearest(name, CONNECTIVITIES)} "
            f"(connectivities: {', '.join(CONNECTIVITIES)})"
        )
    return CONNECTIVITIES[name](wiring)


class LayerWeights(NamedTuple):
    """What one layer's step takes, masks folded in. H is its neurons, P the outputs of the layer before."""

    forward: Tensor  # (P, 4 H) from the layer before; heads ff1, ff2, time_a, time_b side by side
    recurrent: Tensor  # (H, 4 H) from the own layer, or (1, 4 H) where each neuron hears only itself
    bias: Tensor  # (1, 4 H)


def cfc_step(layers: Sequence[LayerWeights], x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
    """One step: x (B, I), state (B, S), dt (B, 1) in nominal periods to output (B, M), next state (B, S)."""
    sizes = [layer.bias.shape[1] // HEADS for layer in layers]
    next_states = []
    for layer, own in zip(layers, state.split(sizes, dim=1), strict=True):
        if layer.recurrent.shape[0] == 1:  # each neuron hears only itself
            recurrent = torch.cat([own] * HEADS, dim=1) * layer.recurrent
        else:
            recurrent = own @ layer.recurrent
        ff1, ff2, time_a, time_b = (x @ layer.forward + recurrent + layer.bias).chunk(HEADS, dim=1)
        gate = torch.sigmoid(time_a * dt + time_b)
        x = torch.tanh(ff1) * (1.0 - gate) + torch.tanh(ff2) * gate
        next_states.append(x)
    return x, torch.cat(next_states, dim=1)


class WiredCfC(nn.Module):
    """A CfC whose synapses follow a wiring. Only weights that the masks let through exist, in one vector.

    Args:
        input_size: features I; must be the wiring's inputs.
        wiring: its neurons' states, in running order, are the state.
        mode: `default`.
        connectivity: `ncps` or `strict`, see `ncps_masks` and `strict_masks`.

    Raises:
        InputError: unknown mode or connectivity, or a wiring drawn for another number of inputs.
    """

    positions: Tensor  # (E,) where each weight stands in the dense (4, S, I + S)

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
        self.masks = masks = connectivity_masks(connectivity, wiring)
        fan_in = masks.sum(axis=2)
        self.register_buffer("positions", torch.from_numpy(np.flatnonzero(masks)), persistent=False)
        self.weight = nn.Parameter(_uniform(np.repeat(np.sqrt(3.0 / fan_in), fan_in.ravel())))
        self.bias = nn.Parameter(_uniform(1.0 / np.sqrt(fan_in)))

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
        """Weights whose mask is not zero, plus biases."""
        return self.weight.numel() + self.bias.numel()

    def raw_parameters(self) -> int:
        """Weights of all layers' full matrices (four heads, layer before and own layer), plus biases."""
        sources = (self.input_size, *self.wiring.layers[:-1])
        return sum(
            HEADS * n * (before + n + 1) for before, n in zip(sources, self.wiring.layers, strict=True)
        )

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first step: (batch, S) zeros."""
        return self.bias.new_zeros(batch, self.state_size)

    def dense_weights(self) -> Tensor:
        """All weights in their places, zero where masked: (4, S, I + S), head by destination by source."""
        flat = self.weight.new_zeros(self.masks.size).scatter(0, self.positions, self.weight)
        return flat.view(self.masks.shape)

    def effective_weights(self) -> tuple[LayerWeights, ...]:
        """What `cfc_step` takes, layer by layer, masks folded in."""
        dense, layers = self.dense_weights(), []
        previous = slice(0, self.input_size)
        for part in self.wiring.layer_slices():
            own = slice(self.input_size + part.start, self.input_size + part.stop)
            size = part.stop - part.start
            forward = dense[:, part, previous].reshape(HEADS * size, -1).t()
            if self._hears_only_itself(part, own):
                recurrent = dense[:, part, own].diagonal(dim1=1, dim2=2).reshape(1, HEADS * size)
            else:
                recurrent = dense[:, part, own].reshape(HEADS * size, size).t()
            layers.append(LayerWeights(forward, recurrent, self.bias[:, part].reshape(1, HEADS * size)))
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
        return cfc_step(self.effective_weights(), x, state, dt)

    def sequence(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Many time steps, fast: what training calls.

        Args:
            x: (B, T, I) features.
            state: (B, S) before the first step.
            dt: (B, T) nominal periods before each step; it gets no gradient.

        Returns:
            Outputs (B, T, M) and the state (B, S) after the last step.
        """
        if dt.requires_grad:
            raise InputError("WiredCfC.sequence gives no gradient for dt: pass dt.detach(), or use step")
        dense = self.dense_weights()
        return CfcWavefront.apply(  # type: ignore[no-any-return, no-untyped-call]
            x,
            state,
            dt,
            dense[:, : self.wiring.layers[0], : self.input_size].contiguous(),
            dense[:, :, self.input_size :].contiguous(),
            self.bias,
            self.wiring.layers,
        )

    def folded(self) -> FoldedCfC:
        """The cell as it stands now with its masks folded in: steps faster and exports small."""
        return FoldedCfC(self.effective_weights())

    def _hears_only_itself(self, part: slice, own: slice) -> bool:
        size = part.stop - part.start
        return not (self.masks[:, part, own] & ~np.eye(size, dtype=bool)).any()


class FoldedCfC(nn.Module):
    """A `WiredCfC` frozen for inference: plain matrices, one set a layer, no masks."""

    def __init__(self, layers: Sequence[LayerWeights]) -> None:
        super().__init__()
        self.layer_count = len(layers)
        for number, layer in enumerate(layers):
            for name, tensor in layer._asdict().items():
                self.register_buffer(f"{name}_{number}", tensor.detach().contiguous().clone())
        sizes = [layer.bias.shape[1] // HEADS for layer in layers]
        self.state_size = sum(sizes)
        self.output_size = sizes[-1]

    def initial_state(self, batch: int) -> Tensor:
        """The state before the first step: (batch, S) zeros."""
        return self.get_buffer("bias_0").new_zeros(batch, self.state_size)

    def effective_weights(self) -> tuple[LayerWeights, ...]:
        """What `cfc_step` takes, layer by layer."""
        return tuple(
            LayerWeights(*(self.get_buffer(f"{name}_{number}") for name in LayerWeights._fields))
            for number in range(self.layer_count)
        )

    def step(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """One time step, as `WiredCfC.step`."""
        return cfc_step(self.effective_weights(), x, state, dt)

    def forward(self, x: Tensor, state: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """`step`, so that the module exports by itself."""
        return self.step(x, state, dt)


def cfc_preset(input_size: int, connectivity: str = "strict", seed: int = DEFAULT_SEED) -> WiredCfC:
    """A policy's core: an AutoNCP wiring of sparsity 0.5 with the neurons that give 20,000 parameters.

    Raises InputError for an unknown connectivity or an input size that no such core can have.
    """
    few, many = COMMAND_SIZE + 3, 400
    while few < many:  # the parameters grow with the units, up to a few synapses of chance
        units = (few + many) // 2
        if (
            _effective_parameters(auto_ncp(input_size, units, COMMAND_SIZE, seed=seed), connectivity)
            < PRESET_PARAMETERS
        ):
            few = units + 1
        else:
            many = units
    cell = WiredCfC(input_size, auto_ncp(input_size, few, COMMAND_SIZE, seed=seed), "default", connectivity)
    if abs(cell.effective_parameters() - PRESET_PARAMETERS) > PRESET_TOLERANCE:
        raise InputError(
            f"no core of {PRESET_PARAMETERS} effective parameters has {input_size} inputs: use fewer"
        )
    return cell


def _effective_parameters(wiring: Wiring, connectivity: str) -> int:
    return int(connectivity_masks(connectivity, wiring).sum()) + HEADS * wiring.neurons


def _uniform(bound: NDArray[np.float64]) -> Tensor:
    """Uniform within +-bound, in torch's default precision, from torch's generator."""
    return (2.0 * torch.rand(bound.shape) - 1.0) * torch.from_numpy(bound).to(torch.get_default_dtype())
