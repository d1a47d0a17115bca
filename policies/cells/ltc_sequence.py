"""The fused solver of an LTC over a whole sequence, synapse by synapse, with a hand-written backward.

The solver's steps wait for each other, and each is small: what costs is the number of operations on tensors.
Each step gathers the sources of the synapses that exist and sums their activities by neuron
(`torch.embedding_bag`, a weighted sum of rows). What the inputs add is computed once a frame. The backward
collects the gradients of all parameters as it goes, and sums them over the batch at its end.

Inside, the batch is the last dimension: gathering and summing move rows of B values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


class SynapseLists(NamedTuple):
    """Where synapses lead: E of them, from sources (inputs or neurons) to U neurons, neuron by neuron."""

    sources: Tensor  # (E,) int64
    neurons: (
        Tensor  # (2 E,) int64: where each leads, in rows of driving currents (U), then of conductances (U)
    )
    order: Tensor  # (2 E,) int64: 0 to E, twice
    ends: Tensor  # (2 U + 1,) int64: of `order`, neuron by neuron
    by_source: Tensor  # (E,) int64: the synapses source by source
    source_ends: Tensor  # (sources + 1,) int64: of `by_source`


def synapse_lists(polarity: NDArray[np.int8]) -> SynapseLists:
    """The lists of a matrix of polarities (sources, U)."""
    destination, source = np.nonzero(polarity.T)
    count, neurons = len(source), polarity.shape[1]
    ends = np.concatenate([[0], np.cumsum(np.bincount(destination, minlength=neurons))])
    source_ends = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=polarity.shape[0]))])
    lists = (
        source,
        np.concatenate([destination, neurons + destination]),
        np.tile(np.arange(count), 2),
        np.concatenate([ends, count + ends[1:]]),
        np.argsort(source, kind="stable"),
        source_ends,
    )
    return SynapseLists(*(torch.from_numpy(values.astype(np.int64)) for values in lists))


@contextmanager
def _alone() -> Iterator[None]:
    """Compute with one thread: sums as small as these lose more by waiting for another than they gain."""
    threads = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if threads > 1:
            torch.set_num_threads(threads)


def _backwards(values: Tensor) -> reversed[Tensor]:
    return reversed(values.unbind(0))


def _weighted_sums(rows: Tensor, which: Tensor, ends: Tensor, weights: Tensor) -> Tensor:
    """Sums of the rows `which`, times weights, from each end to the next."""
    return torch.embedding_bag(rows, which, ends, False, 0, False, weights, True)[0]


class _Layer:
    """The synapses from inputs, or those from neurons, at a batch of B, with their gradients so far."""

    def __init__(self, parameters: Tensor, lists: SynapseLists, batch: int) -> None:
        self.sigma, self.mu, weight, driven = parameters
        self.lists, self.count = lists, len(self.sigma)
        self.weights = torch.cat([driven, weight])
        self.slope, self.offset = (v[:, None].repeat(1, batch) for v in (self.sigma, -self.sigma * self.mu))

    def currents(self, v: Tensor, activity: Tensor) -> Tensor:
        """Of sources (sources, B) the sums (2 U, B) into each neuron; fills activity (E, B)."""
        torch.index_select(v, 0, self.lists.sources, out=activity)
        torch.addcmul(self.offset, self.slope, activity, out=activity).sigmoid_()
        return _weighted_sums(activity, self.lists.order, self.lists.ends, self.weights)

    def begin_back(self) -> None:
        """Make room for gradients."""
        self.outgoing = self.sigma[self.lists.by_source]
        self.driven, self.weight = (
            self.weights[:, None].expand(-1, self.slope.shape[1]).clone().split(self.count)
        )
        self.heard, self.source = self.slope.new_empty(2, *self.slope.shape), torch.empty_like(self.slope)
        self.by_weights, self.by_activity = torch.zeros_like(self.heard), torch.empty_like(self.slope)
        self.by_slope, self.by_offset = torch.zeros_like(self.slope), torch.zeros_like(self.slope)

    def back(self, by_currents: Tensor, v: Tensor, activity: Tensor) -> Tensor:
        """The gradient of `currents`: the sources' (sources, B); those of the parameters add up here."""
        torch.index_select(by_currents, 0, self.lists.neurons, out=self.heard.flatten(0, 1))
        self.by_weights.addcmul_(activity, self.heard)
        driving, conducting = self.heard
        torch.mul(self.driven, driving, out=self.by_activity).addcmul_(self.weight, conducting)
        torch.ops.aten.sigmoid_backward.grad_input(self.by_activity, activity, grad_input=self.by_activity)
        self.by_offset.add_(self.by_activity)
        torch.index_select(v, 0, self.lists.sources, out=self.source)
        self.by_slope.addcmul_(self.by_activity, self.source)
        return _weighted_sums(self.by_activity, self.lists.by_source, self.lists.source_ends, self.outgoing)

    def gradients(self) -> Tensor:
        """By the parameters (4, E)."""
        offset, (driven, weight) = self.by_offset.sum(1), self.by_weights.sum(2)
        return torch.stack([self.by_slope.sum(1) - self.mu * offset, -self.sigma * offset, weight, driven])


class FusedSequence(torch.autograd.Function):
    """All steps of the fused solver (see `cells/ltc.py`) over a sequence.

    `apply(x, state, base, capacity, sensory, internal, lists, steps)`:
        x: (T, I, B) inputs, mapped.
        state: (U, B) before the first frame.
        base: (2, U) what drives and what conducts in each neuron beside its synapses.
        capacity: (T, U, B) cm over the length of a step.
        sensory, internal: (4, E) sigma, mu, weight and weight times reversal potential of the synapses from
            inputs, and of those from neurons.
        lists: `SynapseLists` of both.
        steps: of the solver, a frame.

    Returns the states (T, U, B) after each frame.
    """

    @staticmethod
    @_alone()
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        state: Tensor,
        base: Tensor,
        capacity: Tensor,
        sensory: Tensor,
        internal: Tensor,
        lists: tuple[SynapseLists, SynapseLists],
        steps: int,
    ) -> Tensor:
        """Step after step; keeps activities, flows (what drives and what conducts, summed up) and states."""
        frames, neurons, batch = capacity.shape
        outer, inner = _Layer(sensory, lists[0], batch), _Layer(internal, lists[1], batch)
        states = x.new_empty(frames * steps + 1, neurons, batch)
        states[0] = state
        heard = x.new_empty(frames, outer.count, batch)
        activities = x.new_empty(frames * steps, inner.count, batch)
        flows = x.new_empty(frames * steps, 2 * neurons, batch)
        turns = zip(activities, flows, flows[:, :neurons], flows[:, neurons:], states[1:], strict=True)
        before, rest = states[0], base.reshape(-1, 1)
        for inputs, activity_outside, held in zip(x, heard, capacity, strict=True):
            outside = outer.currents(inputs, activity_outside).add_(rest)
            outside[neurons:] += held
            for _ in range(steps):
                activity, flow, inflow, outflow, after = next(turns)
                torch.add(outside, inner.currents(before, activity), out=flow)
                before = torch.div(inflow.addcmul_(held, before), outflow, out=after)
        ctx.save_for_backward(x, capacity, sensory, internal, states, heard, activities, flows)
        ctx.lists, ctx.steps = lists, steps  # type: ignore[attr-defined]
        return states[steps::steps].clone()

    @staticmethod
    @once_differentiable
    @_alone()
    def backward(ctx: FunctionCtx, grad_states: Tensor) -> tuple[Tensor | None, ...]:
        """The same steps backwards."""
        x, capacity, sensory, internal, states, heard, activities, flows = ctx.saved_tensors  # type: ignore[attr-defined]
        lists, steps = ctx.lists, ctx.steps  # type: ignore[attr-defined]
        frames, neurons, batch = capacity.shape
        outer, inner = _Layer(sensory, lists[0], batch), _Layer(internal, lists[1], batch)
        outer.begin_back()
        inner.begin_back()
        by_flow, by_frame = x.new_empty(2 * neurons, batch), x.new_zeros(frames, 2 * neurons, batch)
        by_inflow, by_outflow = by_flow.split(neurons)
        by_x, by_capacity = torch.empty_like(x), torch.zeros_like(capacity)
        zero, by_after = torch.zeros_like(by_inflow), torch.zeros_like(by_inflow)
        turns = zip(
            *(_backwards(v) for v in (activities, flows[:, neurons:], states[:-1], states[1:])), strict=True
        )
        for frame in reversed(range(frames)):
            held, by_held, by_outside = capacity[frame], by_capacity[frame], by_frame[frame]
            by_after = by_after + grad_states[frame]
            for _ in range(steps):
                activity, outflow, before, after = next(turns)
                torch.div(by_after, outflow, out=by_inflow)
                torch.addcmul(zero, by_inflow, after, value=-1.0, out=by_outflow)
                by_outside.add_(by_flow)
                by_held.addcmul_(by_inflow, before)
                by_after = inner.back(by_flow, before, activity).addcmul_(held, by_inflow)
            by_x[frame] = outer.back(by_outside, x[frame], heard[frame])
        by_capacity += by_frame[:, neurons:]
        by_base = by_frame.sum((0, 2)).view(2, neurons)
        return by_x, by_after, by_base, by_capacity, outer.gradients(), inner.gradients(), None, None
