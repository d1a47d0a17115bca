"""A wired CfC over a sequence by Numba: lists of synapses instead of matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from navstack.policies.cells.compiled import cfc_kernels as kernels
from navstack.policies.cells.compiled.cfc_vectors import KEPT, TILE
from navstack.policies.cells.compiled.chunks import check_single
from navstack.policies.cells.compiled.vectors import HEADS, LANES, UNROLL


class Table(NamedTuple):
    """The synapses of a CfC as lists; an entry exists where any of its heads has a weight."""

    columns: NDArray[np.int32]  # (E,) source: input j; or j, a state of this step, or U + j, of the last
    rows: NDArray[np.int64]  # (2, U + 1) entries rows[k, i] to rows[k, i + 1], padded to UNROLL, are what
    # neuron i hears of inputs (0) and of neurons (1)
    hearing: int  # neurons of the first layer, which alone hear inputs
    places: Tensor  # (weights,) where each weight of the cell stands in (E, 4)
    weights: Tensor  # (4 E,) which weight stands there; one past the last where none does


def cfc_table(masks: NDArray[np.bool_], layers: tuple[int, ...]) -> Table:
    """The lists of a CfC with masks (4, U, I + U), destination by source, and these layers."""
    _, neurons, sources = masks.shape
    inputs, ends = sources - neurons, np.cumsum([0, *layers])
    columns: list[int] = []
    entry_of, rows = np.zeros((neurons, sources), dtype=np.int64), []
    for begin, end in ((0, inputs), (inputs, sources)):
        first = [len(columns)]
        for i in range(neurons):
            own = int(ends[np.searchsorted(ends, i, side="right") - 1])  # where the neuron's layer begins
            heard = np.flatnonzero(masks[:, i, begin:end].any(axis=0))
            entry_of[i, begin + heard] = len(columns) + np.arange(len(heard))
            columns += [int(j + neurons if begin and j >= own else j) for j in heard]
            columns += [0] * (-len(columns) % UNROLL)
            first.append(len(columns))
        rows.append(first)
    head, neuron, source = np.nonzero(masks)
    places = torch.from_numpy(entry_of[neuron, source] * HEADS + head)
    weights = torch.full((len(columns) * HEADS,), len(places))
    weights[places] = torch.arange(len(places))
    return Table(np.array(columns, np.int32), np.array(rows, np.int64), layers[0], places, weights)


class CompiledCfC(torch.autograd.Function):
    """`CfcWavefront` of mode `default` by Numba.

    `apply(x, state, dt, weight, bias, table, motors, lengths)`: weight is the cell's vector of weights that
    exist, in the order of its masks; motors is the number of outputs, which stand last; the rest and what it
    returns are as there. Raises InputError but for float32 on a CPU.
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
        motors: int,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Runs all chunks; see the class."""
        check_single(x, state, dt, weight, bias)
        (batch, steps, features), neurons = x.shape, bias.shape[1]
        chunks = -(-batch // LANES)
        weights = torch.cat([weight, weight.new_zeros(1)]).index_select(0, table.weights).view(-1, HEADS)
        if lengths is None:
            lengths = torch.full((batch,), steps)
        slots = _slots(chunks * (steps + 1) + TILE)
        inputs, states = torch.empty(features, slots, LANES), torch.empty(neurons, slots, LANES)
        kept = torch.empty(chunks * steps * neurons, KEPT, LANES)
        outputs, final = torch.empty(batch, steps, motors), torch.empty(batch, neurons)
        lists = (table.columns, table.rows, table.hearing)
        given = (x, dt, state, lengths, weights, *lists, bias.t())
        kernels.forward.run(np.ones(chunks, np.int64), *given, inputs, states, kept, outputs, final)
        ctx.save_for_backward(dt, lengths, weights, inputs, states, kept)
        ctx.table, ctx.shape = table, x.shape  # type: ignore[attr-defined]
        return outputs, final

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_outputs: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """All chunks backwards, then the gradient of each entry as one dot product over batch and time."""
        dt, lengths, weights, inputs, states, kept = ctx.saved_tensors  # type: ignore[attr-defined]
        table, (batch, steps, features) = ctx.table, ctx.shape  # type: ignore[attr-defined]
        (neurons, slots, _), chunks = states.shape, -(-batch // LANES)
        gradient = torch.empty(neurons, HEADS, slots, LANES)
        by_x = torch.empty(batch, steps, features if ctx.needs_input_grad[0] else 0)  # type: ignore[attr-defined]
        by_state, by_bias = torch.empty(batch, neurons), torch.zeros(neurons, HEADS)
        by_weights = torch.zeros_like(weights)
        lists = (table.columns, table.rows)
        given = (dt, lengths, weights, *lists, table.hearing, kept, grad_outputs, grad_final)
        kernels.backward.run(np.ones(chunks, np.int64), *given, gradient, by_x, by_state)
        work = np.diff(table.rows).sum(axis=0)
        used = chunks * (steps + 1) - 1  # the last slot's gradient is zero, and no state stands behind it
        kernels.weight_gradient.run(work, gradient, inputs, states, *lists, used, by_weights, by_bias)
        return (
            by_x if ctx.needs_input_grad[0] else None,  # type: ignore[attr-defined]
            by_state,
            None,
            by_weights.flatten().index_select(0, table.places),
            by_bias.t(),
            None,
            None,
            None,
        )


def _slots(least: int) -> int:
    """At least so many slots a row, such that rows begin in different sets of the cache.

    A line of the cache holds two slots of eight floats: rows of an odd number of lines share no set in turn.
    """
    return least + (2 - least) % 4
