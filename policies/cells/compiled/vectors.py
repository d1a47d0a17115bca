"""Numba's missing piece: instructions on vectors of eight floats, one of each of eight sequences.

Numba leaves loops over eight lanes scalar, because it cannot know that arrays do not overlap; the functions
that are written with this (`cfc_vectors.py`, `ltc_vectors.py`) give the vector instructions themselves,
through llvmlite, which comes with Numba. Synapses are lists: a row of the table is a neuron, its entries are
sources and weights, so what the wiring leaves out costs nothing. Arrays are C-contiguous float32, their last
dimension the LANES sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8
HEADS = 4
UNROLL = (
    2  # entries a turn: eight sums in flight hide a multiply-add's latency; a CfC's rows are padded to it
)

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


class Writer:
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
        """One float of an array in all lanes."""
        return self.everywhere(self.b.load(self.b.gep(pointer, [place])))

    def everywhere(self, value: Any) -> Any:
        """One float in all lanes."""
        one = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.b.shuffle_vector(one, ir.Constant(_VECTOR, ir.Undefined), lanes)

    def constant(self, value: float) -> Any:
        """A number in all lanes."""
        return ir.Constant(_VECTOR, [float(np.float32(value))] * LANES)

    def size(self, number: int, dimension: int) -> Any:
        """A dimension of an array argument."""
        make = self.context.make_array(self.signature.args[number])
        shape = make(self.context, self.b, self.arguments[number]).shape
        return self.b.extract_value(shape, dimension)

    def heads(self, number: int, row: Any, slot: Any) -> list[Any]:
        """The places of [row, h, slot], for each h, in an array argument (N, HEADS, S, LANES)."""
        slots, first = self.size(number, 2), self.b.mul(row, _INT(HEADS))
        return [self.b.add(self.b.mul(self.b.add(first, _INT(h)), slots), slot) for h in range(HEADS)]

    def sum(self, value: Any) -> Any:
        """The sum over all lanes."""
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        function = cgutils.get_or_insert_function(self.b.module, kind, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return self.b.call(function, [ir.Constant(_FLOAT, 0.0), value], fastmath=("reassoc",))

    def sigmoid(self, x: Any) -> Any:
        """The logistic function by `tanh`."""
        half = self.constant(0.5)
        return self.add_product(self.tanh(self.b.fmul(x, half)), half, half)

    def tanh(self, x: Any) -> Any:
        """The hyperbolic tangent as a fraction of polynomials."""
        b, end = self.b, self.constant(TANH_END)
        x = b.select(b.fcmp_ordered("<", x, end), x, end)
        start = self.constant(-TANH_END)
        x = b.select(b.fcmp_ordered(">", x, start), x, start)
        square = b.fmul(x, x)
        p, q = self.constant(TANH_P[-1]), self.constant(TANH_Q[-1])
        for p_next, q_next in zip(TANH_P[-2::-1], TANH_Q[-2::-1], strict=True):
            p = self.add_product(p, square, self.constant(p_next))
            q = self.add_product(q, square, self.constant(q_next))
        return b.fdiv(b.fmul(x, p), q)

    def source(self, columns: Any, entry: Any) -> Any:
        """The number of an entry's source."""
        return self.b.sext(self.b.load(self.b.gep(columns, [entry])), _INT)

    def add_product(self, a: Any, x: Any, c: Any) -> Any:
        """a x + c."""
        return self.b.fadd(self.b.fmul(a, x, flags=_FUSE), c, flags=_FUSE)


@intrinsic
def move(_: Any, source: Any, row: Any, into: Any, place: Any) -> Any:
    """into[place] = source[row], rows (LANES,) being counted over all dimensions but the last."""
    signature = types.void(source, types.intp, into, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = Writer(context, builder, signature, arguments)
        w.store(w.load(w.at(w.data(0), arguments[1])), w.at(w.data(2), arguments[3]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fill(_: Any, into: Any, place: Any, value: Any) -> Any:
    """into[place, :] = value, rows counted as by `move`."""
    signature = types.void(into, types.intp, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = Writer(context, builder, signature, arguments)
        w.store(w.everywhere(arguments[2]), w.at(w.data(0), arguments[1]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_up(_: Any, values: Any, row: Any, begin: Any, end: Any, into: Any, place: Any) -> Any:
    """into.flat[place] += the sum of values[row + begin] to [row + end], rows counted as by `move`."""
    size = types.intp
    signature = types.void(values, size, size, size, into, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = Writer(context, builder, signature, arguments)
        data, total = w.data(0), cgutils.alloca_once_value(builder, w.constant(0.0))
        row, begin, end, place = (arguments[number] for number in (1, 2, 3, 5))
        with cgutils.for_range_slice(builder, begin, end, _INT(1), _INT) as (slot, _):
            value = w.load(w.at(data, builder.add(row, slot)))
            builder.store(builder.fadd(builder.load(total), value), total)
        at = builder.gep(w.data(4), [place])
        builder.store(builder.fadd(builder.load(at), w.sum(builder.load(total))), at)
        return context.get_dummy_value()

    return signature, generate
