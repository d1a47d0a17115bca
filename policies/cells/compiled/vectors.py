"""Numba's missing piece: inner loops of synapses over eight sequences at once, as vectors of eight floats.

Numba leaves loops over eight lanes scalar, because it cannot know that arrays do not overlap; these few
functions write the vector instructions themselves (through llvmlite, which comes with Numba). Synapses are
lists: a row of the table is a neuron, its entries are sources and the weights of four heads, so what the
wiring leaves out costs nothing. Arrays are C-contiguous float32, their last dimension the LANES sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
HEADS = 4
UNROLL = 2  # entries a turn: eight sums in flight hide the latency of a multiply-add; rows are padded to it

_FLOAT, _INT = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSE = ("contract",)  # a product and a sum may become one instruction; nothing else is reordered

# tanh(x) = x P(x^2) / Q(x^2) within 2.1e-8 (relative) for |x| <= 9, beyond which tanh is 1 in float32: a
# least-squares fit whose weights were moved towards its largest errors. In float32 it is within 3.4e-7.
TANH_P = (
    0.9999999795357261,
    0.13381146882519557,
    0.003495730574939484,
    2.0611358113711733e-05,
    1.335767789e-08,
)
TANH_Q = (1.0, 0.4671446254122425, 0.025877528218594032, 0.00032858648985776943, 7.777822212938049e-07)
TANH_END = 9.0

OPTIONS: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "boundscheck": False, "cache": True}

_P0, _P1, _P2, _P3, _P4 = (np.float32(value) for value in TANH_P)
_Q0, _Q1, _Q2, _Q3, _Q4 = (np.float32(value) for value in TANH_Q)
_END, _HALF = np.float32(TANH_END), np.float32(0.5)


@njit(inline="always", **OPTIONS)
def tanh(x: Any) -> Any:
    """The hyperbolic tangent as a fraction of polynomials, which vectorises."""
    x = min(max(x, -_END), _END)
    u = x * x
    p = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _P0
    return x * p / ((((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _Q0)


@njit(inline="always", **OPTIONS)
def sigmoid(x: Any) -> Any:
    """The logistic function by `tanh`."""
    return _HALF * tanh(_HALF * x) + _HALF


class _Writer:
    """Vector code at the builder's place."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.b, self.signature, self.arguments = context, builder, signature, arguments

    def data(self, number: int) -> Any:
        """Pointer to the first value of an array argument."""
        make = self.context.make_array(self.signature.args[number])
        return make(self.context, self.b, self.arguments[number]).data

    def at(self, pointer: Any, row: Any) -> Any:
        """Pointer to a row of LANES floats."""
        place = self.b.gep(pointer, [self.b.mul(row, _INT(LANES))])
        return self.b.bitcast(place, _VECTOR.as_pointer())

    def load(self, pointer: Any) -> Any:
        """A vector from anywhere (a row is aligned as a float is)."""
        return self.b.load(pointer, align=4)

    def store(self, value: Any, pointer: Any) -> None:
        """A vector to anywhere."""
        self.b.store(value, pointer, align=4)

    def scalar(self, pointer: Any, place: Any) -> Any:
        """One float in all lanes."""
        value = self.b.load(self.b.gep(pointer, [place]))
        one = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.b.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), lanes)

    def constant(self, value: float) -> Any:
        """A number in all lanes."""
        return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)

    def sigmoid(self, x: Any) -> Any:
        """The logistic function, as the function of that name."""
        b, half, end = self.b, self.constant(0.5), self.constant(TANH_END)
        x = b.fmul(x, half)
        x = b.select(b.fcmp_ordered("<", x, end), x, end)
        start = self.constant(-TANH_END)
        x = b.select(b.fcmp_ordered(">", x, start), x, start)
        square = b.fmul(x, x)
        p, q = self.constant(TANH_P[-1]), self.constant(TANH_Q[-1])
        for p_next, q_next in zip(TANH_P[-2::-1], TANH_Q[-2::-1], strict=True):
            p = self.add_product(p, square, self.constant(p_next))
            q = self.add_product(q, square, self.constant(q_next))
        return self.add_product(b.fdiv(b.fmul(x, p), q), half, half)

    def source(self, columns: Any, entry: Any) -> Any:
        """The number of an entry's source."""
        return self.b.sext(self.b.load(self.b.gep(columns, [entry])), _INT)

    def add_product(self, a: Any, x: Any, c: Any) -> Any:
        """a x + c."""
        return self.b.fadd(self.b.fmul(a, x, flags=_FUSE), c, flags=_FUSE)


@intrinsic
def add_products(
    _: Any, weights: Any, columns: Any, sources: Any, begin: Any, end: Any, out: Any, row: Any, rows: Any
) -> Any:
    """out[h, row] += sum over entries e from begin to end of weights[e, h] * sources[columns[e]].

    weights (E, HEADS), columns (E,) int32, sources (S, LANES), out (HEADS, rows, LANES).
    """
    signature = types.void(weights, columns, sources, types.intp, types.intp, out, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        weight, column, source, into = (w.data(number) for number in (0, 1, 2, 5))
        begin, end, row, rows = (arguments[number] for number in (3, 4, 6, 7))
        places = [w.at(into, builder.add(builder.mul(rows, _INT(h)), row)) for h in range(HEADS)]
        sums = [[cgutils.alloca_once_value(builder, w.load(place)) for place in places]]
        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums += [[cgutils.alloca_once_value(builder, zero) for _ in places] for _ in range(UNROLL - 1)]
        with cgutils.for_range_slice(builder, begin, end, _INT(UNROLL), _INT) as (first, _):
            for turn in range(UNROLL):
                entry = builder.add(first, _INT(turn))
                value = w.load(w.at(source, w.source(column, entry)))
                for h, total in enumerate(sums[turn]):
                    factor = w.scalar(weight, builder.add(builder.mul(entry, _INT(HEADS)), _INT(h)))
                    builder.store(w.add_product(factor, value, builder.load(total)), total)
        for place, *parts in zip(places, *sums, strict=True):
            total = builder.load(parts[0])
            for part in parts[1:]:
                total = builder.fadd(total, builder.load(part))
            w.store(total, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scatter_products(
    _: Any, weights: Any, columns: Any, gradient: Any, row: Any, rows: Any, begin: Any, end: Any, sources: Any
) -> Any:
    """sources[columns[e]] += sum over heads of weights[e, h] * gradient[h, row], for e from begin to end.

    The transpose of `add_products`, in the same shapes.
    """
    signature = types.void(
        weights, columns, gradient, types.intp, types.intp, types.intp, types.intp, sources
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        weight, column, gradient, into = (w.data(number) for number in (0, 1, 2, 7))
        row, rows, begin, end = arguments[3:7]
        slopes = [w.load(w.at(gradient, builder.add(builder.mul(rows, _INT(h)), row))) for h in range(HEADS)]
        with cgutils.for_range_slice(builder, begin, end, _INT(1), _INT) as (entry, _):
            place = w.at(into, w.source(column, entry))
            total = w.load(place)
            for h, slope in enumerate(slopes):
                factor = w.scalar(weight, builder.add(builder.mul(entry, _INT(HEADS)), _INT(h)))
                total = w.add_product(factor, slope, total)
            w.store(total, place)
        return context.get_dummy_value()

    return signature, generate


SIGMA, MU, WEIGHT, DRIVEN = range(4)
"""The columns of an LTC's entries: s = sigmoid(SIGMA (v - MU)), WEIGHT s conducts, DRIVEN s drives."""


@intrinsic
def add_currents(
    _: Any, entries: Any, columns: Any, sources: Any, begin: Any, end: Any, out: Any, row: Any, rows: Any
) -> Any:
    """out[0, row] += sum of DRIVEN s, out[1, row] += sum of WEIGHT s, over entries begin to end.

    entries (E, 4), columns (E,) int32, sources (S, LANES), out (2, rows, LANES).
    """
    signature = types.void(entries, columns, sources, types.intp, types.intp, out, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder, signature, arguments)
        entry_data, column, source, into = (w.data(number) for number in (0, 1, 2, 5))
        begin, end, row, rows = (arguments[number] for number in (3, 4, 6, 7))
        places = [w.at(into, row), w.at(into, builder.add(rows, row))]
        sums = [cgutils.alloca_once_value(builder, w.load(place)) for place in places]
        with cgutils.for_range_slice(builder, begin, end, _INT(1), _INT) as (entry, _):
            sigma, mu, weight, driven = (
                w.scalar(entry_data, builder.add(builder.mul(entry, _INT(4)), _INT(k))) for k in range(4)
            )
            value = w.load(w.at(source, w.source(column, entry)))
            activity = w.sigmoid(builder.fmul(sigma, builder.fsub(value, mu)))
            for total, factor in zip(sums, (driven, weight), strict=True):
                builder.store(w.add_product(factor, activity, builder.load(total)), total)
        for place, total in zip(places, sums, strict=True):
            w.store(builder.load(total), place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def currents_back(
    _: Any, entries: Any, columns: Any, sources: Any, begin: Any, end: Any, by_out: Any, row: Any, rows: Any,
    by_sources: Any, by_entries: Any,
) -> Any:  # fmt: skip
    """The gradient of `add_currents`: by_out (2, rows, LANES) to by_sources and by_entries (E, 4, LANES).

    Both are added to. MU's column gets the sum of the slopes at SIGMA (v - MU) alone: its gradient is that
    times -SIGMA, the same for all steps.
    """
    signature = types.void(
        entries, columns, sources, types.intp, types.intp, by_out, types.intp, types.intp, by_sources,
        by_entries,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = _Writer(context, builder, signature, arguments), builder
        entry_data, column, source, by_out, back, by_entry = (w.data(number) for number in (0, 1, 2, 5, 8, 9))
        begin, end, row, rows = (arguments[number] for number in (3, 4, 6, 7))
        by_driving, by_conducting = w.load(w.at(by_out, row)), w.load(w.at(by_out, b.add(rows, row)))
        with cgutils.for_range_slice(b, begin, end, _INT(1), _INT) as (entry, _):
            first = b.mul(entry, _INT(4))
            sigma, mu, weight, driven = (w.scalar(entry_data, b.add(first, _INT(k))) for k in range(4))
            place = w.source(column, entry)
            apart = b.fsub(w.load(w.at(source, place)), mu)
            activity = w.sigmoid(b.fmul(sigma, apart))
            slope = w.add_product(driven, by_driving, b.fmul(weight, by_conducting))
            slope = b.fmul(slope, b.fsub(activity, b.fmul(activity, activity)))
            into = w.at(back, place)
            w.store(w.add_product(slope, sigma, w.load(into)), into)
            for k, (a, x) in enumerate(
                ((slope, apart), (slope, w.constant(1.0)), (activity, by_conducting), (activity, by_driving))
            ):
                total = w.at(by_entry, b.add(first, _INT(k)))
                w.store(w.add_product(a, x, w.load(total)), total)
        return context.get_dummy_value()

    return signature, generate
