"""The compiled CfC, step after step over eight sequences at once; see `cfc.py` for the shapes.

Inputs are heard by the first layer only, TILE steps at once. What a neuron hears of neurons are columns of
one list: this step's states (U), then the last step's (U). Over time every neuron's values stand in a row of
slots: T + 1 for each chunk, the first state and then one after each step; gradients by sums have theirs one
slot earlier, and zero in the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from navstack.policies.cells.compiled.cfc_vectors import (
    TILE,
    correlate,
    fire,
    fire_back,
    hear_inputs,
    hear_inputs_back,
)
from navstack.policies.cells.compiled.chunks import Kernel
from navstack.policies.cells.compiled.vectors import HEADS, LANES, OPTIONS, UNROLL, add_up, fill, move

Array = Any  # numba infers its own types

BLOCK = 128  # slots whose gradients and sources stay in the nearest cache

_ZERO = np.float32(0.0)


@njit(**OPTIONS)
def _hear(
    chunk: int, t: int, x: Array, weights: Array, columns: Array, rows: Array, hearing: int, bias: Array,
    tile: Array, inputs: Array, heard: Array,
) -> None:  # fmt: skip
    """TILE steps of inputs, from t: their slots, and what they add to the first layer's sums."""
    (batch, steps, features), slots = x.shape, inputs.shape[1]
    count = min(TILE, steps - t)
    for lane in range(min(LANES, batch - chunk * LANES)):
        for k in range(count):
            for j in range(features):
                tile[k, j, lane] = x[chunk * LANES + lane, t + k, j]
    for k in range(count):
        for j in range(features):
            move(tile, k * features + j, inputs, j * slots + chunk * (steps + 1) + t + k)
    for i in range(hearing):
        hear_inputs(weights, columns, tile, rows[0, i], rows[0, i + 1], bias, heard, i)


@njit(**OPTIONS)
def _report(
    chunk: int, t: int, sources: Array, lengths: Array, outputs: Array, final: Array, states: Array
) -> None:
    """The states after step t: to their slots, the last to outputs, those at a sequence's end to final."""
    (batch, steps, motors), (neurons, slots, _) = outputs.shape, states.shape
    for i in range(neurons):
        move(sources, i, sources, neurons + i)
        move(sources, i, states, i * slots + chunk * (steps + 1) + t + 1)
    for lane in range(min(LANES, batch - chunk * LANES)):
        sequence = chunk * LANES + lane
        for i in range(motors):
            outputs[sequence, t, i] = sources[neurons - motors + i, lane]
        if t + 1 == lengths[sequence]:
            for i in range(neurons):
                final[sequence, i] = sources[i, lane]


@njit(nogil=True, **OPTIONS)
def forward_alone(
    begin: int, end: int, x: Array, dt: Array, first_state: Array, lengths: Array, weights: Array,
    columns: Array, rows: Array, hearing: int, bias: Array, inputs: Array, states: Array, kept: Array,
    outputs: Array, final: Array,
) -> None:  # fmt: skip
    """Chunks begin to end; see `forward_shared`."""
    (batch, steps, features), (neurons, slots, _) = x.shape, states.shape
    start = np.empty((neurons, HEADS, LANES), np.float32)
    for i in range(neurons):
        for h in range(HEADS):
            fill(start, i * HEADS + h, bias[i, h])
    sources = np.zeros((2 * neurons, LANES), np.float32)
    elapsed = np.ones(LANES, np.float32)
    tile = np.zeros((TILE, features, LANES), np.float32)
    heard = np.empty((TILE, hearing, HEADS, LANES), np.float32)
    for chunk in range(begin, end):
        present = min(LANES, batch - chunk * LANES)
        for i in range(neurons):
            for lane in range(present):
                sources[neurons + i, lane] = first_state[chunk * LANES + lane, i]
            move(sources, neurons + i, states, i * slots + chunk * (steps + 1))
        for t in range(steps):
            if t % TILE == 0:
                _hear(chunk, t, x, weights, columns, rows, hearing, bias, tile, inputs, heard)
            for lane in range(present):
                elapsed[lane] = dt[chunk * LANES + lane, t]
            at = (chunk * steps + t) * neurons
            for i in range(hearing):
                fire(weights, columns, sources, rows[1, i], rows[1, i + 1], heard,
                     t % TILE * hearing + i, elapsed, kept, at + i, i)  # fmt: skip
            for i in range(hearing, neurons):
                fire(
                    weights, columns, sources, rows[1, i], rows[1, i + 1], start, i, elapsed, kept, at + i, i
                )
            _report(chunk, t, sources, lengths, outputs, final, states)
        for j in range(features):
            fill(inputs, j * slots + chunk * (steps + 1) + steps, _ZERO)


@njit(**OPTIONS)
def _hear_back(
    chunk: int, t: int, weights: Array, columns: Array, rows: Array, hearing: int, gradient: Array,
    tile: Array, by_x: Array,
) -> None:  # fmt: skip
    """The gradient by TILE steps of inputs, from t."""
    batch, steps, features = by_x.shape
    for k in range(TILE * features):
        fill(tile, k, _ZERO)
    for i in range(hearing):
        hear_inputs_back(weights, columns, gradient, rows[0, i], rows[0, i + 1], tile, i,
                         chunk * (steps + 1) + t)  # fmt: skip
    for lane in range(min(LANES, batch - chunk * LANES)):
        for k in range(min(TILE, steps - t)):
            for j in range(features):
                by_x[chunk * LANES + lane, t + k, j] = tile[k, j, lane]


@njit(**OPTIONS)
def _turn_back(
    chunk: int, t: int, dt: Array, lengths: Array, by_outputs: Array, by_final: Array, sources: Array,
    elapsed: Array,
) -> None:  # fmt: skip
    """Before step t backwards: the gradient by the states after it, from the next step and from outside."""
    (batch, _, motors), neurons = by_outputs.shape, len(sources) // 2
    for i in range(neurons):
        move(sources, neurons + i, sources, i)
        fill(sources, neurons + i, _ZERO)
    for lane in range(min(LANES, batch - chunk * LANES)):
        sequence = chunk * LANES + lane
        elapsed[lane] = dt[sequence, t]
        for i in range(motors):
            sources[neurons - motors + i, lane] += by_outputs[sequence, t, i]
        if t + 1 == lengths[sequence]:
            for i in range(neurons):
                sources[i, lane] += by_final[sequence, i]


@njit(nogil=True, **OPTIONS)
def backward_alone(
    begin: int, end: int, dt: Array, lengths: Array, weights: Array, columns: Array, rows: Array,
    hearing: int, kept: Array, by_outputs: Array, by_final: Array, gradient: Array, by_x: Array,
    by_state: Array,
) -> None:  # fmt: skip
    """Chunks begin to end; see `backward_shared`."""
    (batch, steps, features), (neurons, _, slots, _) = by_x.shape, gradient.shape
    sources = np.zeros((2 * neurons, LANES), np.float32)
    elapsed = np.ones(LANES, np.float32)
    tile = np.empty((TILE, features, LANES), np.float32)
    for chunk in range(begin, end):
        first = chunk * (steps + 1)
        for i in range(neurons):
            fill(sources, neurons + i, _ZERO)
            for h in range(HEADS):
                fill(gradient, (i * HEADS + h) * slots + first + steps, _ZERO)
        for t in range(steps - 1, -1, -1):
            _turn_back(chunk, t, dt, lengths, by_outputs, by_final, sources, elapsed)
            at = (chunk * steps + t) * neurons
            for i in range(neurons - 1, -1, -1):
                fire_back(weights, columns, sources, rows[1, i], rows[1, i + 1], elapsed, kept, at + i, i,
                          gradient, first + t)  # fmt: skip
            if features > 0 and t % TILE == 0:
                _hear_back(chunk, t, weights, columns, rows, hearing, gradient, tile, by_x)
        for lane in range(min(LANES, batch - chunk * LANES)):
            for i in range(neurons):
                by_state[chunk * LANES + lane, i] = sources[neurons + i, lane]


@njit(nogil=True, **OPTIONS)
def weight_gradient_alone(
    begin: int, end: int, gradient: Array, inputs: Array, states: Array, columns: Array, rows: Array,
    slots: int, by_weights: Array, by_bias: Array,
) -> None:  # fmt: skip
    """Neurons begin to end; see `weight_gradient_shared`."""
    neurons = gradient.shape[0]
    for first in range(0, slots, BLOCK):
        last = min(first + BLOCK, slots)
        for i in range(begin, end):
            for h in range(HEADS):
                add_up(gradient, (i * HEADS + h) * gradient.shape[2], first, last, by_bias, i * HEADS + h)
            for entry in range(rows[0, i], rows[0, i + 1], UNROLL):
                correlate(gradient, i, inputs, 0, columns, entry, first, last, by_weights)
            for entry in range(rows[1, i], rows[1, i + 1], UNROLL):
                correlate(gradient, i, states, neurons, columns, entry, first, last, by_weights)


@njit(parallel=True, nogil=True, **OPTIONS)
def forward_shared(
    cuts: Array, x: Array, dt: Array, first_state: Array, lengths: Array, weights: Array, columns: Array,
    rows: Array, hearing: int, bias: Array, inputs: Array, states: Array, kept: Array, outputs: Array,
    final: Array,
) -> None:  # fmt: skip
    """Chunks cuts[p] to cuts[p + 1] by thread p: fills inputs, states, kept, outputs and final."""
    for part in prange(len(cuts) - 1):
        forward_alone(cuts[part], cuts[part + 1], x, dt, first_state, lengths, weights, columns, rows,
                      hearing, bias, inputs, states, kept, outputs, final)  # fmt: skip


@njit(parallel=True, nogil=True, **OPTIONS)
def backward_shared(
    cuts: Array, dt: Array, lengths: Array, weights: Array, columns: Array, rows: Array, hearing: int,
    kept: Array, by_outputs: Array, by_final: Array, gradient: Array, by_x: Array, by_state: Array,
) -> None:  # fmt: skip
    """Chunks cuts[p] to cuts[p + 1] by thread p: fills gradient, by_state and, if it has features, by_x."""
    for part in prange(len(cuts) - 1):
        backward_alone(cuts[part], cuts[part + 1], dt, lengths, weights, columns, rows, hearing, kept,
                       by_outputs, by_final, gradient, by_x, by_state)  # fmt: skip


@njit(parallel=True, nogil=True, **OPTIONS)
def weight_gradient_shared(
    cuts: Array, gradient: Array, inputs: Array, states: Array, columns: Array, rows: Array, slots: int,
    by_weights: Array, by_bias: Array,
) -> None:  # fmt: skip
    """Neurons cuts[p] to cuts[p + 1] by thread p: adds to by_weights (E, 4) and by_bias (U, 4)."""
    for part in prange(len(cuts) - 1):
        weight_gradient_alone(cuts[part], cuts[part + 1], gradient, inputs, states, columns, rows, slots,
                              by_weights, by_bias)  # fmt: skip


forward = Kernel(forward_alone, forward_shared)
backward = Kernel(backward_alone, backward_shared)
weight_gradient = Kernel(weight_gradient_alone, weight_gradient_shared)
