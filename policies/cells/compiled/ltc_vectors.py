"""The compiled LTC's inner loops over synapses, on eight sequences at once."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from navstack.policies.cells.compiled.vectors import Writer

_INT = ir.IntType(64)

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
        w = Writer(context, builder, signature, arguments)
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
        w, b = Writer(context, builder, signature, arguments), builder
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
