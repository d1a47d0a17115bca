"""The inner loops' machine code, where Numba (extra `fast`) is installed; else the functions as they are.

Both compute the same bits: nothing is reordered or fused (no fast-math), and what rounds besides + - * / and
the square root (sine, cosine, arc tangent) is left to Python's `math`. So which of the two runs is a matter
of speed alone; `backend` names it, and so does `navstack bench env`. Numba's own NUMBA_DISABLE_JIT=1 turns
compilation off. Machine code is kept in Numba's cache: the first process takes seconds, later ones do not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from functools import cache
from importlib import metadata, util
from typing import Any

import numpy as np

from navstack.errors import InputError

COMPILED = util.find_spec("numba") is not None and os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")
"""Whether functions are compiled in this process."""


def backend() -> str:
    """What computes the inner loops in this process: "numba" with its version, or "python"."""
    return f"numba {metadata.version('numba')}" if COMPILED else "python"


def compiled(
    function: Callable[..., Any],
    helpers: tuple[Callable[..., Any], ...],
    examples: tuple[Any, ...],
    unchecked: bool = False,
) -> Callable[..., Any]:
    """The function in machine code, ready for arguments of the examples' types; as it is without Numba.

    Args:
        function: of numbers, arrays and tuples of floats.
        helpers: the functions that it calls, in the same file: Numba's cache looks at the age of one file.
        examples: arguments of the types that it will get.
        unchecked: take every argument for one of the example's type (and layout, where it is an array)
            without a look, which costs as much as a physics step's arithmetic.

    Raises InputError where Numba is installed but cannot be imported.
    """
    if not COMPILED:
        return function
    try:
        from numba import typeof
    except ImportError as error:
        raise InputError(
            f"Numba is installed but cannot be imported ({error}): mend it, or set NUMBA_DISABLE_JIT=1 to go"
            " without it"
        ) from error

    dispatcher, entry = _machine_code(function, helpers, tuple(typeof(each) for each in examples))
    return entry if unchecked else dispatcher


def stored(values: Any) -> Sequence[Any]:
    """A dataclass of floats as compiled functions take it: the record in an array, or itself in a list.

    Machine code reads records; Python reads attributes of objects several times faster than those of records.
    """
    if not COMPILED:
        return [values]
    dtype = np.dtype((np.record, [(field.name, np.float64) for field in fields(values)]))
    return np.array([astuple(values)], dtype=dtype).view(np.recarray)  # type: ignore[return-value]


@cache
def _machine_code(
    function: Callable[..., Any], helpers: tuple[Callable[..., Any], ...], types: tuple[Any, ...]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    from numba import njit
    from numba.extending import register_jitable

    _teach_remainder()
    for helper in helpers:
        register_jitable(helper)
    try:
        dispatcher = njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # no folder to keep it in can be written: compile in every process
        dispatcher = njit(error_model="numpy")(function)
    return dispatcher, dispatcher.compile(types)


@cache
def _teach_remainder() -> None:
    """`math.remainder`, which Numba does not know, in the exact steps of CPython's (Modules/mathmodule.c)."""
    from numba import types
    from numba.extending import overload

    @overload(math.remainder)  # type: ignore[untyped-decorator]
    def _remainder(x: Any, y: Any) -> Any:
        if not (isinstance(x, types.Float) and isinstance(y, types.Float)):
            return None

        def exact(x: Any, y: Any) -> Any:
            size, step = abs(x), abs(y)
            rest = size % step
            other = step - rest
            if rest > other:
                rest = -other
            elif rest == other:  # half-way: to the even multiple
                rest = rest - 2.0 * ((0.5 * (size - rest)) % step)
            return math.copysign(1.0, x) * rest

        return exact
