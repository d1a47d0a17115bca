"""A wired CfC over a sequence by Numba: lists of synapses instead of matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from navstack.policies.cells.compiled import cfc_kernels as kernels
from navstack.policies.cells.compiled.chunks import alone, check_single, chunked, share, unchunked
from navstack.policies.cells.compiled.vectors import HEADS, LANES, UNROLL


class Table(NamedTuple):
    """The synapses of a CfC as lists; an entry exists where any of its heads has a weight."""

    columns: NDArray[np.int32]  # (E,) source: input j; I + j, a state of this step; I + U + j, of the last
    rows: NDArray[np.int64]  # (U + 1,) the entries of neuron i are rows[i] to rows[i + 1], padded to UNROLL
    layers: NDArray[np.int64]  # where layers begin, and the number of neurons
    places: Tensor  # (weights,) where each weight of the cell stands in (E, 4)
    weights: Tensor  # (4 E,) which weight stands there; one past the last where none does


def cfc_table(masks: NDArray[np.bool_], layers: tuple[int, ...]) -> Table:
    """The lists of a CfC with masks (4, U, I + U), destination by source, and these layers."""
    _, neurons, sources = masks.shape
    inputs, ends = sources - neurons, np.cumsum([0, *layers])
    columns: list[int] = []
    rows, entry_of = [0], np.zeros((neurons, sources), dtype=np.int64)
    for i in range(neurons):
        own = int(ends[np.searchsorted(ends, i, side="right") - 1])  # where the neuron's layer begins
        heard = np.flatnonzero(masks[:, i].any(axis=0))
        entry_of[i, heard] = len(columns) + np.arange(len(heard))
        columns += [int(j + neurons if j >= inputs + own else j) for j in heard]
        columns += [0] * (-len(columns) % UNROLL)
        rows.append(len(columns))
    head, neuron, source = np.nonzero(masks)
    places = torch.from_numpy(entry_of[neuron, source] * HEADS + head)
    weights = torch.full((len(columns) * HEADS,), len(places))
    weights[places] = torch.arange(len(places))
    return Table(
        np.array(columns, np.int32), np.array(rows, np.int64), ends.astype(np.int64), places, weights
    )


class CompiledCfC(torch.autograd.Function):
    """`CfcWavefront` of mode `default` by Numba.

    `apply(x, state, dt, weight, bias, table, lengths)`: weight is the cell's vector of weights that exist, in
    the order of its masks; the rest and what it returns are as there. Raises InputError but for float32 on a
    CPU.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        state: Tensor,
        dt: Tensor,
        weight: Tensor,
        bias: Tensor,
        table: Table,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Runs all chunks; see the class."""
        with alone() as threads:
            check_single(x, state, dt, weight, bias)
            batch, steps, _ = x.shape
            weights = torch.cat([weight, weight.new_zeros(1)]).index_select(0, table.weights)
            inputs, elapsed = chunked(x), chunked(dt[..., None])[:, :, 0]
            chunks, neurons = len(inputs), bias.shape[1]
            states = torch.empty(chunks, steps + 1, neurons, LANES)
            states[:, 0] = chunked(state[:, None])[:, 0]
            kept = torch.empty(chunks, steps, 3, neurons, LANES)
            arrays = (inputs, elapsed, weights.view(-1, HEADS))
            more = (bias.detach().contiguous(), table.layers, states, kept)
            share(kernels.forward, chunks, threads, *arrays, table.columns, table.rows, *more)
            ctx.save_for_backward(*arrays, states, kept, lengths)  # type: ignore[arg-type]
            ctx.table, ctx.batch = table, batch  # type: ignore[attr-defined]
            outputs = unchunked(states[:, 1:, int(table.layers[-2]) :], batch)
            if lengths is None:
                return outputs, unchunked(states[:, -1:], batch)[:, 0]
            return outputs, unchunked(states, batch)[torch.arange(batch), lengths]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_outputs: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """All chunks backwards, then the gradient of each entry as one dot product over batch and time."""
        with alone() as threads:
            inputs, elapsed, weights, states, kept, lengths = ctx.saved_tensors  # type: ignore[attr-defined]
            table, batch = ctx.table, ctx.batch  # type: ignore[attr-defined]
            chunks, steps = inputs.shape[:2]
            neurons = states.shape[2]
            outer = torch.zeros(chunks, steps + 1, neurons, LANES)
            outer[:, 1:, neurons - grad_outputs.shape[2] :] = chunked(grad_outputs)
            row = torch.arange(batch)
            end = torch.full_like(row, steps) if lengths is None else lengths
            outer[row // LANES, end, :, row % LANES] += grad_final
            by_products = torch.empty(chunks, steps, HEADS, neurons, LANES)
            by_x, by_state = torch.empty_like(inputs), torch.empty(chunks, neurons, LANES)
            lists, found = (table.columns, table.rows), (by_products, by_x, by_state)
            given = (elapsed, weights, *lists, table.layers, kept, outer)
            share(kernels.backward, chunks, threads, *given, *found)
            sources = torch.cat([part.transpose(1, 2).transpose(0, 1).flatten(1)
                                 for part in (inputs, states[:, 1:], states[:, :-1])])  # fmt: skip
            by_weights, by_bias = torch.zeros_like(weights), torch.empty(HEADS, neurons)
            share(
                kernels.weight_gradient, neurons, threads, by_products, sources, *lists, by_weights, by_bias
            )
            return (
                unchunked(by_x, batch),
                unchunked(by_state[:, None], batch)[:, 0],
                None,
                by_weights.flatten().index_select(0, table.places),
                by_bias,
                None,
                None,
            )
