"""The compiled CfC's inner loops over synapses, each a neuron's whole work on eight sequences at once.

Where time steps do not wait for each other (what inputs add, their gradient, the weights' gradients) a loop
takes several of them with each weight that it loads, which makes multiply-adds its limit and not loads.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from navstack.policies.cells.compiled.vectors import HEADS, UNROLL, Writer

TILE = 4  # time steps that are taken at once where they can be
KEPT = 3  # values of each neuron's step that its derivative needs: tanh(ff1), tanh(ff2), gate

_INT = ir.IntType(64)


@intrinsic
def hear_inputs(
    _: Any, weights: Any, columns: Any, inputs: Any, begin: Any, end: Any, bias: Any, heard: Any, row: Any
) -> Any:
    """heard[t, row, h] = bias[row, h] + sum over entries e of weights[e, h] * inputs[t, columns[e]].

    weights (E, HEADS), columns (E,) int32, inputs (TILE, I, LANES), bias (U, HEADS), heard (TILE, N, HEADS,
    LANES).
    """
    size = types.intp
    signature = types.void(weights, columns, inputs, size, size, bias, heard, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = Writer(context, builder, signature, arguments), builder
        weight, column, source, bias, into = (w.data(number) for number in (0, 1, 2, 5, 6))
        begin, end, row = (arguments[number] for number in (3, 4, 7))
        frame, place = w.size(2, 1), b.mul(row, _INT(HEADS))
        sums = [
            [cgutils.alloca_once_value(b, w.scalar(bias, b.add(place, _INT(h)))) for h in range(HEADS)]
            for _ in range(TILE)
        ]
        with cgutils.for_range_slice(b, begin, end, _INT(1), _INT) as (entry, _):
            first, source_row = b.mul(entry, _INT(HEADS)), w.source(column, entry)
            factors = [w.scalar(weight, b.add(first, _INT(h))) for h in range(HEADS)]
            for t in range(TILE):
                value = w.load(w.at(source, b.add(source_row, b.mul(frame, _INT(t)))))
                for total, factor in zip(sums[t], factors, strict=True):
                    b.store(w.add_product(factor, value, b.load(total)), total)
        step = b.mul(w.size(6, 1), _INT(HEADS))
        for t in range(TILE):
            for h, total in enumerate(sums[t]):
                at = b.add(b.add(place, _INT(h)), b.mul(step, _INT(t)))
                w.store(b.load(total), w.at(into, at))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def hear_inputs_back(
    _: Any, weights: Any, columns: Any, gradient: Any, begin: Any, end: Any, by_inputs: Any, row: Any,
    slot: Any,
) -> Any:  # fmt: skip
    """by_inputs[t, columns[e]] += sum over heads h of weights[e, h] * gradient[row, h, slot + t].

    by_inputs (TILE, I, LANES), gradient (U, HEADS, S, LANES).
    """
    size = types.intp
    signature = types.void(weights, columns, gradient, size, size, by_inputs, size, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = Writer(context, builder, signature, arguments), builder
        weight, column, slope, into = (w.data(number) for number in (0, 1, 2, 5))
        begin, end, row, slot = (arguments[number] for number in (3, 4, 6, 7))
        frame, heads = w.size(5, 1), w.heads(2, row, slot)
        slopes = [[w.load(w.at(slope, b.add(head, _INT(t)))) for head in heads] for t in range(TILE)]
        with cgutils.for_range_slice(b, begin, end, _INT(1), _INT) as (entry, _):
            first, source_row = b.mul(entry, _INT(HEADS)), w.source(column, entry)
            factors = [w.scalar(weight, b.add(first, _INT(h))) for h in range(HEADS)]
            for t in range(TILE):
                at = w.at(into, b.add(source_row, b.mul(frame, _INT(t))))
                total = w.load(at)
                for factor, value in zip(factors, slopes[t], strict=True):
                    total = w.add_product(factor, value, total)
                w.store(total, at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fire(
    _: Any, weights: Any, columns: Any, sources: Any, begin: Any, end: Any, start: Any, first: Any,
    elapsed: Any, kept: Any, row: Any, into: Any,
) -> Any:  # fmt: skip
    """One neuron's step: sums over its entries on top of start[first], its activations, its next state.

    start (N, HEADS, LANES), elapsed (LANES,), kept (N, KEPT, LANES), filled at `row`; the state goes to
    sources[into].
    """
    size = types.intp
    signature = types.void(weights, columns, sources, size, size, start, size, elapsed, kept, size, size)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = Writer(context, builder, signature, arguments), builder
        weight, column, source, start, elapsed, kept = (w.data(number) for number in (0, 1, 2, 5, 7, 8))
        begin, end, first, row, into = (arguments[number] for number in (3, 4, 6, 9, 10))
        at = b.mul(first, _INT(HEADS))
        sums = [[cgutils.alloca_once_value(b, w.load(w.at(start, b.add(at, _INT(h))))) for h in range(HEADS)]]
        sums += [
            [cgutils.alloca_once_value(b, w.constant(0.0)) for _ in range(HEADS)] for _ in range(UNROLL - 1)
        ]
        with cgutils.for_range_slice(b, begin, end, _INT(UNROLL), _INT) as (first, _):
            for turn in range(UNROLL):
                entry = b.add(first, _INT(turn))
                value = w.load(w.at(source, w.source(column, entry)))
                for h, total in enumerate(sums[turn]):
                    factor = w.scalar(weight, b.add(b.mul(entry, _INT(HEADS)), _INT(h)))
                    b.store(w.add_product(factor, value, b.load(total)), total)
        heads = []
        for parts in zip(*sums, strict=True):
            total = b.load(parts[0])
            for part in parts[1:]:
                total = b.fadd(total, b.load(part))
            heads.append(total)
        one, two = w.tanh(heads[0]), w.tanh(heads[1])
        gate = w.sigmoid(w.add_product(heads[2], w.load(w.at(elapsed, _INT(0))), heads[3]))
        first = b.mul(row, _INT(KEPT))
        for number, value in enumerate((one, two, gate)):
            w.store(value, w.at(kept, b.add(first, _INT(number))))
        w.store(w.add_product(gate, b.fsub(two, one), one), w.at(source, into))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fire_back(
    _: Any, weights: Any, columns: Any, by_sources: Any, begin: Any, end: Any, elapsed: Any, kept: Any,
    row: Any, into: Any, gradient: Any, slot: Any,
) -> Any:  # fmt: skip
    """The gradient of `fire`: by_sources[into], that by the state, to all by_sources that the neuron hears.

    And to gradient[into, h, slot], (U, HEADS, S, LANES), that by its four sums.
    """
    size = types.intp
    signature = types.void(
        weights, columns, by_sources, size, size, elapsed, kept, size, size, gradient, size
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = Writer(context, builder, signature, arguments), builder
        weight, column, back, elapsed, kept, gradient = (w.data(number) for number in (0, 1, 2, 5, 6, 9))
        begin, end, row, into, slot = (arguments[number] for number in (3, 4, 7, 8, 10))
        first = b.mul(row, _INT(KEPT))
        one, two, gate = (w.load(w.at(kept, b.add(first, _INT(number)))) for number in range(KEPT))
        slope, unit = w.load(w.at(back, into)), w.constant(1.0)
        by_two = b.fmul(slope, gate)
        by_one, shut = b.fsub(slope, by_two), b.fsub(unit, gate)
        by_gate = b.fmul(b.fmul(by_two, shut), b.fsub(two, one))
        slopes = [
            b.fmul(by_one, b.fsub(unit, b.fmul(one, one))),
            b.fmul(by_two, b.fsub(unit, b.fmul(two, two))),
            b.fmul(by_gate, w.load(w.at(elapsed, _INT(0)))),
            by_gate,
        ]
        for head, value in zip(w.heads(9, into, slot), slopes, strict=True):
            w.store(value, w.at(gradient, head))
        with cgutils.for_range_slice(b, begin, end, _INT(1), _INT) as (entry, _):
            at = w.at(back, w.source(column, entry))
            total = w.load(at)
            for h, value in enumerate(slopes):
                factor = w.scalar(weight, b.add(b.mul(entry, _INT(HEADS)), _INT(h)))
                total = w.add_product(factor, value, total)
            w.store(total, at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def correlate(
    _: Any, gradient: Any, row: Any, sources: Any, later: Any, columns: Any, entry: Any, begin: Any, end: Any,
    by_weights: Any,
) -> Any:  # fmt: skip
    """by_weights[entry + k, h] += sum over slots s of gradient[row, h, s] * sources[c, s].

    For k < UNROLL, s from begin to end and c = columns[entry + k]; a column below `later` stands for
    sources[c, s + 1], and the others for sources[c - later, s]. gradient (N, HEADS, S, LANES), sources (R,
    S, LANES).
    """
    size = types.intp
    signature = types.void(gradient, size, sources, size, columns, size, size, size, by_weights)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w, b = Writer(context, builder, signature, arguments), builder
        gradient, source, column, by_weight = (w.data(number) for number in (0, 2, 4, 8))
        row, later, entry, begin, end = (arguments[number] for number in (1, 3, 5, 6, 7))
        heads, places = w.heads(0, row, _INT(0)), []
        for k in range(UNROLL):
            number = w.source(column, b.add(entry, _INT(k)))
            ahead = b.icmp_signed("<", number, later)
            number = b.select(ahead, number, b.sub(number, later))
            places.append(b.add(b.mul(number, w.size(2, 1)), b.zext(ahead, _INT)))
        sums = [[cgutils.alloca_once_value(b, w.constant(0.0)) for _ in heads] for _ in places]
        with cgutils.for_range_slice(b, begin, end, _INT(1), _INT) as (slot, _):
            slopes = [w.load(w.at(gradient, b.add(head, slot))) for head in heads]
            for place, totals in zip(places, sums, strict=True):
                value = w.load(w.at(source, b.add(place, slot)))
                for slope, total in zip(slopes, totals, strict=True):
                    b.store(w.add_product(slope, value, b.load(total)), total)
        for k, totals in enumerate(sums):
            for h, total in enumerate(totals):
                at = b.gep(by_weight, [b.add(b.mul(b.add(entry, _INT(k)), _INT(HEADS)), _INT(h))])
                b.store(b.fadd(b.load(at), w.sum(b.load(total))), at)
        return context.get_dummy_value()

    return signature, generate
