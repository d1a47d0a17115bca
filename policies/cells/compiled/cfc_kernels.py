"""The compiled CfC, step after step over eight sequences at once; see `cfc.py` for the shapes.

Sources of a synapse stand in one list: inputs (I), then this step's states (U), then the last step's (U).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from navstack.policies.cells.compiled.vectors import (
    HEADS,
    LANES,
    OPTIONS,
    add_products,
    scatter_products,
    sigmoid,
    tanh,
)

Array = Any  # numba infers its own types

_ONE = np.float32(1.0)


@njit(**OPTIONS)
def _activate(products: Array, dt: Array, kept: Array, states: Array, first: int, last: int) -> None:
    """products (4, U, L) of rows first to last to kept (3, U, L) tanh(ff1), tanh(ff2), gate, and states."""
    ff1, ff2 = products[0, first:last].reshape(-1), products[1, first:last].reshape(-1)
    time_a, time_b = products[2, first:last].reshape(-1), products[3, first:last].reshape(-1)
    elapsed, after = dt[first:last].reshape(-1), states[first:last].reshape(-1)
    tanh1, tanh2 = kept[0, first:last].reshape(-1), kept[1, first:last].reshape(-1)
    gates = kept[2, first:last].reshape(-1)
    for k in range(ff1.size):
        one, two = tanh(ff1[k]), tanh(ff2[k])
        gate = sigmoid(time_a[k] * elapsed[k] + time_b[k])
        tanh1[k], tanh2[k], gates[k] = one, two, gate
        after[k] = one + gate * (two - one)


@njit(**OPTIONS)
def _derive(states: Array, dt: Array, kept: Array, gradient: Array, first: int, last: int) -> None:
    """Gradients by the states (U, L) of rows first to last to those by the products (4, U, L)."""
    slope, elapsed = states[first:last].reshape(-1), dt[first:last].reshape(-1)
    tanh1, tanh2 = kept[0, first:last].reshape(-1), kept[1, first:last].reshape(-1)
    gates = kept[2, first:last].reshape(-1)
    by_ff1, by_ff2 = gradient[0, first:last].reshape(-1), gradient[1, first:last].reshape(-1)
    by_a, by_b = gradient[2, first:last].reshape(-1), gradient[3, first:last].reshape(-1)
    for k in range(slope.size):
        one, two, gate = tanh1[k], tanh2[k], gates[k]
        by_ff1[k] = slope[k] * (_ONE - gate) * (_ONE - one * one)
        by_ff2[k] = slope[k] * gate * (_ONE - two * two)
        by_gate = slope[k] * (two - one) * gate * (_ONE - gate)
        by_a[k] = by_gate * elapsed[k]
        by_b[k] = by_gate


@njit(nogil=True, **OPTIONS)
def forward(
    begin: int, end: int, x: Array, dt: Array, weights: Array, columns: Array, rows: Array, bias: Array,
    layers: Array, states: Array, kept: Array,
) -> None:  # fmt: skip
    """Chunks begin to end: fills `states` from its first, and `kept`."""
    steps, inputs, neurons = x.shape[1], x.shape[2], bias.shape[1]
    sources = np.empty((inputs + 2 * neurons, LANES), np.float32)
    products = np.empty((HEADS, neurons, LANES), np.float32)
    elapsed = np.empty((neurons, LANES), np.float32)
    for chunk in range(begin, end):
        for t in range(steps):
            sources[:inputs] = x[chunk, t]
            sources[inputs + neurons :] = states[chunk, t]
            now = sources[inputs : inputs + neurons]
            for i in range(neurons):
                elapsed[i] = dt[chunk, t]
                for h in range(HEADS):
                    products[h, i] = bias[h, i]
            for layer in range(len(layers) - 1):
                first, last = layers[layer], layers[layer + 1]
                for i in range(first, last):
                    add_products(weights, columns, sources, rows[i], rows[i + 1], products, i, neurons)
                _activate(products, elapsed, kept[chunk, t], now, first, last)
            states[chunk, t + 1] = now


@njit(nogil=True, **OPTIONS)
def backward(
    begin: int, end: int, dt: Array, weights: Array, columns: Array, rows: Array, layers: Array, kept: Array,
    outer: Array, by_products: Array, by_x: Array, by_state: Array,
) -> None:  # fmt: skip
    """Chunks begin to end: from `outer`, the gradient by all states, those by products, x and first state."""
    steps, inputs, neurons = by_x.shape[1], by_x.shape[2], outer.shape[2]
    sources = np.zeros((inputs + 2 * neurons, LANES), np.float32)
    elapsed = np.empty((neurons, LANES), np.float32)
    now, before = sources[inputs : inputs + neurons], sources[inputs + neurons :]
    for chunk in range(begin, end):
        before[:] = 0.0
        for t in range(steps - 1, -1, -1):
            for i in range(neurons):
                elapsed[i] = dt[chunk, t]
                for lane in range(LANES):
                    now[i, lane] = outer[chunk, t + 1, i, lane] + before[i, lane]
            sources[:inputs] = 0.0
            before[:] = 0.0
            gradient = by_products[chunk, t]
            for layer in range(len(layers) - 2, -1, -1):
                first, last = layers[layer], layers[layer + 1]
                _derive(now, elapsed, kept[chunk, t], gradient, first, last)
                for i in range(first, last):
                    scatter_products(weights, columns, gradient, i, neurons, rows[i], rows[i + 1], sources)
            by_x[chunk, t] = sources[:inputs]
        by_state[chunk] = outer[chunk, 0] + before


@njit(nogil=True, **OPTIONS)
def weight_gradient(
    begin: int, end: int, by_products: Array, sources: Array, columns: Array, rows: Array, by_weights: Array,
    by_bias: Array,
) -> None:  # fmt: skip
    """Neurons begin to end: by_products (chunks, T, 4, U, L) and sources (I + 2 U, N) to entries and biases.

    N is chunks times T times L; by_weights is (E, 4), by_bias (4, U).
    """
    chunks, steps = by_products.shape[:2]
    gradient = np.empty((HEADS, sources.shape[1]), np.float32)
    for i in range(begin, end):
        for h in range(HEADS):
            total, n = np.float32(0.0), 0
            for chunk in range(chunks):
                for t in range(steps):
                    for lane in range(LANES):
                        slope = by_products[chunk, t, h, i, lane]
                        gradient[h, n] = slope
                        total += slope
                        n += 1
            by_bias[h, i] = total
        ff1, ff2, time_a, time_b = gradient[0], gradient[1], gradient[2], gradient[3]
        for entry in range(rows[i], rows[i + 1]):
            source = sources[columns[entry]]
            a, b, c, d = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for n in range(source.size):
                a += ff1[n] * source[n]
                b += ff2[n] * source[n]
                c += time_a[n] * source[n]
                d += time_b[n] * source[n]
            by_weights[entry, 0], by_weights[entry, 1] = a, b
            by_weights[entry, 2], by_weights[entry, 3] = c, d
