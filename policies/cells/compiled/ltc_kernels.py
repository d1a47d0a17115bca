"""The compiled LTC with its fused solver, over eight sequences at once; see `ltc.py` for the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

from navstack.policies.cells.compiled.chunks import Kernel
from navstack.policies.cells.compiled.ltc_vectors import add_currents, currents_back
from navstack.policies.cells.compiled.vectors import LANES, OPTIONS

Array = Any  # numba infers its own types


@njit(**OPTIONS)
def _solve(capacity: Array, sums: Array, before: Array, after: Array, outflow: Array) -> None:
    """One fused step of all neurons: after = (capacity v + driving) / (capacity + conducting)."""
    driving, conducting = sums[0].reshape(-1), sums[1].reshape(-1)
    for k in range(before.size):
        outflow[k] = capacity[k] + conducting[k]
        after[k] = (capacity[k] * before[k] + driving[k]) / outflow[k]


@njit(nogil=True, **OPTIONS)
def forward_alone(
    begin: int, end: int, x: Array, dt: Array, entries: Array, columns: Array, rows: Array, base: Array,
    cm: Array, steps: int, states: Array, outflows: Array,
) -> None:  # fmt: skip
    """Chunks begin to end; see `forward_shared`."""
    frames, neurons = x.shape[1], cm.shape[0]
    heard, sums = np.empty((2, neurons, LANES), np.float32), np.empty((2, neurons, LANES), np.float32)
    capacity = np.empty((neurons, LANES), np.float32)
    for chunk in range(begin, end):
        for frame in range(frames):
            for i in range(neurons):
                for lane in range(LANES):
                    capacity[i, lane] = cm[i] * steps / dt[chunk, frame, lane]
                    heard[0, i, lane], heard[1, i, lane] = base[0, i], base[1, i]
                add_currents(entries, columns, x[chunk, frame], rows[0, i], rows[0, i + 1], heard, i, neurons)
            for step in range(steps):
                now = frame * steps + step
                before, after = states[chunk, now], states[chunk, now + 1]
                sums[:] = heard
                for i in range(neurons):
                    add_currents(entries, columns, before, rows[1, i], rows[1, i + 1], sums, i, neurons)
                _solve(capacity.reshape(-1), sums, before.reshape(-1), after.reshape(-1),
                       outflows[chunk, now].reshape(-1))  # fmt: skip


@njit(**OPTIONS)
def _solve_back(
    capacity: Array, before: Array, after: Array, outflow: Array, by_after: Array, by_sums: Array,
    by_before: Array, by_capacity: Array, by_heard: Array,
) -> None:  # fmt: skip
    """The gradient of `_solve`: by_before is set, by_capacity and by_heard are added to."""
    by_driving, by_conducting = by_sums[0].reshape(-1), by_sums[1].reshape(-1)
    heard_driving, heard_conducting = by_heard[0].reshape(-1), by_heard[1].reshape(-1)
    for k in range(before.size):
        slope = by_after[k] / outflow[k]
        by_driving[k] = slope
        by_conducting[k] = -slope * after[k]
        by_before[k] = slope * capacity[k]
        by_capacity[k] += slope * (before[k] - after[k])
        heard_driving[k] += by_driving[k]
        heard_conducting[k] += by_conducting[k]


@njit(nogil=True, **OPTIONS)
def backward_alone(
    begin: int, end: int, x: Array, dt: Array, entries: Array, columns: Array, rows: Array, cm: Array,
    steps: int, states: Array, outflows: Array, outer: Array, by_x: Array, by_state: Array, by_entries: Array,
    by_base: Array, by_cm: Array,
) -> None:  # fmt: skip
    """Chunks begin to end; see `backward_shared`."""
    frames, neurons = x.shape[1], cm.shape[0]
    capacity, by_capacity = np.empty((neurons, LANES), np.float32), np.empty((neurons, LANES), np.float32)
    by_heard, by_sums = np.empty((2, neurons, LANES), np.float32), np.empty((2, neurons, LANES), np.float32)
    by_after, by_before = np.empty((neurons, LANES), np.float32), np.zeros((neurons, LANES), np.float32)
    for chunk in range(begin, end):
        by_before[:] = 0.0
        for frame in range(frames - 1, -1, -1):
            for i in range(neurons):
                for lane in range(LANES):
                    capacity[i, lane] = cm[i] * steps / dt[chunk, frame, lane]
                    by_before[i, lane] += outer[chunk, frame + 1, i, lane]
            by_capacity[:] = 0.0
            by_heard[:] = 0.0
            for step in range(steps - 1, -1, -1):
                now = frame * steps + step
                by_after[:] = by_before
                before = states[chunk, now]
                _solve_back(capacity.reshape(-1), before.reshape(-1), states[chunk, now + 1].reshape(-1),
                            outflows[chunk, now].reshape(-1), by_after.reshape(-1), by_sums,
                            by_before.reshape(-1), by_capacity.reshape(-1), by_heard)  # fmt: skip
                for i in range(neurons):
                    currents_back(entries, columns, before, rows[1, i], rows[1, i + 1], by_sums, i, neurons,
                                  by_before, by_entries[chunk])  # fmt: skip
            for i in range(neurons):
                currents_back(entries, columns, x[chunk, frame], rows[0, i], rows[0, i + 1], by_heard, i,
                              neurons, by_x[chunk, frame], by_entries[chunk])  # fmt: skip
                for lane in range(LANES):
                    by_cm[chunk, i, lane] += by_capacity[i, lane] * steps / dt[chunk, frame, lane]
                    by_base[chunk, 0, i, lane] += by_heard[0, i, lane]
                    by_base[chunk, 1, i, lane] += by_heard[1, i, lane]
        for i in range(neurons):
            for lane in range(LANES):
                by_state[chunk, i, lane] = by_before[i, lane] + outer[chunk, 0, i, lane]


@njit(parallel=True, nogil=True, **OPTIONS)
def forward_shared(
    cuts: Array, x: Array, dt: Array, entries: Array, columns: Array, rows: Array, base: Array, cm: Array,
    steps: int, states: Array, outflows: Array,
) -> None:  # fmt: skip
    """Chunks cuts[p] to cuts[p + 1] by thread p: fills `states` from its first, and `outflows`."""
    for part in prange(len(cuts) - 1):
        forward_alone(
            cuts[part], cuts[part + 1], x, dt, entries, columns, rows, base, cm, steps, states, outflows
        )


@njit(parallel=True, nogil=True, **OPTIONS)
def backward_shared(
    cuts: Array, x: Array, dt: Array, entries: Array, columns: Array, rows: Array, cm: Array, steps: int,
    states: Array, outflows: Array, outer: Array, by_x: Array, by_state: Array, by_entries: Array,
    by_base: Array, by_cm: Array,
) -> None:  # fmt: skip
    """Chunks cuts[p] to cuts[p + 1] by thread p: from `outer`, the gradient by states, all others.

    Sums are those of each chunk.
    """
    for part in prange(len(cuts) - 1):
        backward_alone(cuts[part], cuts[part + 1], x, dt, entries, columns, rows, cm, steps, states, outflows,
                  outer, by_x, by_state, by_entries, by_base, by_cm)  # fmt: skip


forward = Kernel(forward_alone, forward_shared)
backward = Kernel(backward_alone, backward_shared)
