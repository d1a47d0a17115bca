"""A wired LTC with its fused solver over a sequence by Numba: every synapse once, and no masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from navstack.policies.cells.compiled import ltc_kernels as kernels
from navstack.policies.cells.compiled.chunks import check_single, chunked, unchunked
from navstack.policies.cells.compiled.ltc_vectors import MU, SIGMA
from navstack.policies.cells.compiled.vectors import LANES


class LtcTable(NamedTuple):
    """Where the synapses of an LTC stand: those of the inputs first, each kind destination by destination."""

    columns: NDArray[np.int32]  # (E,) source: input or neuron
    rows: NDArray[
        np.int64
    ]  # (2, U + 1) entries rows[k, i] to rows[k, i + 1] lead from inputs (0), neurons (1)


def ltc_table(sensory: NDArray[np.int8], internal: NDArray[np.int8]) -> LtcTable:
    """The lists of polarities (I, U) and (U, U)."""
    columns, rows, first = [], [], 0
    for polarity in (sensory, internal):
        destination, source = np.nonzero(polarity.T)
        columns.append(source)
        counts = np.bincount(destination, minlength=polarity.shape[1])
        rows.append(first + np.concatenate([[0], np.cumsum(counts)]))
        first += len(source)
    return LtcTable(np.concatenate(columns).astype(np.int32), np.stack(rows).astype(np.int64))


class CompiledLtc(torch.autograd.Function):
    """The fused solver over a sequence.

    `apply(x, state, dt, entries, base, cm, table, steps, lengths)`:
        x: (B, T, I) inputs, mapped.
        state: (B, U) before the first frame.
        dt: (B, T) nominal periods; no gradient.
        entries: (E, 4) sigma, mu, weight, weight times reversal potential of each synapse.
        base: (2, U) gleak times vleak, and gleak.
        cm: (U,).
        table: `LtcTable`.
        steps: of the solver, a frame.
        lengths: (B,) frames of each sequence; None for all T.

    Returns the states (B, T, U) after each frame, and (B, U) after each sequence's last. Raises InputError
    but for float32 on a CPU.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        state: Tensor,
        dt: Tensor,
        entries: Tensor,
        base: Tensor,
        cm: Tensor,
        table: LtcTable,
        steps: int,
        lengths: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Runs all chunks; see the class."""
        check_single(x, state, dt, entries, base, cm)
        batch, frames, _ = x.shape
        inputs, elapsed = chunked(x), chunked(dt[..., None], filling=1.0)[:, :, 0].contiguous()
        chunks, neurons = len(inputs), len(cm)
        states = torch.empty(chunks, frames * steps + 1, neurons, LANES)
        states[:, 0] = chunked(state[:, None])[:, 0]
        outflows = torch.empty(chunks, frames * steps, neurons, LANES)
        entries, base, cm = (values.detach().contiguous() for values in (entries, base, cm))
        given = (inputs, elapsed, entries, table.columns, table.rows)
        kernels.forward.run(np.ones(chunks, np.int64), *given, base, cm, steps, states, outflows)
        ctx.save_for_backward(inputs, elapsed, entries, cm, states, outflows, lengths)  # type: ignore[arg-type]
        ctx.table, ctx.steps, ctx.batch = table, steps, batch  # type: ignore[attr-defined]
        every = unchunked(states[:, ::steps], batch)
        final = every[:, -1] if lengths is None else every[torch.arange(batch), lengths]
        return every[:, 1:].contiguous(), final.contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad_states: Tensor, grad_final: Tensor) -> tuple[Tensor | None, ...]:
        """All chunks backwards, activities computed anew; sums over chunks and lanes at the end."""
        inputs, elapsed, entries, cm, states, outflows, lengths = ctx.saved_tensors  # type: ignore[attr-defined]
        table, steps, batch = ctx.table, ctx.steps, ctx.batch  # type: ignore[attr-defined]
        chunks, frames = inputs.shape[:2]
        neurons = len(cm)
        outer = torch.zeros(batch, frames + 1, neurons)
        outer[:, 1:] = grad_states
        outer[torch.arange(batch), frames if lengths is None else lengths] += grad_final
        by_x, by_state = torch.zeros_like(inputs), torch.empty(chunks, neurons, LANES)
        by_entries = torch.zeros(chunks, *entries.shape, LANES)
        by_base, by_cm = torch.zeros(chunks, 2, neurons, LANES), torch.zeros(chunks, neurons, LANES)
        given = (inputs, elapsed, entries, table.columns, table.rows, cm, steps, states, outflows)
        found = (by_x, by_state, by_entries, by_base, by_cm)
        kernels.backward.run(np.ones(chunks, np.int64), *given, chunked(outer), *found)
        grad_entries = by_entries.sum((0, 3))
        grad_entries[:, MU] *= -entries[:, SIGMA]
        return (
            unchunked(by_x, batch),
            unchunked(by_state[:, None], batch)[:, 0],
            None,
            grad_entries,
            by_base.sum((0, 3)),
            by_cm.sum((0, 2)),
            None,
            None,
            None,
        )
