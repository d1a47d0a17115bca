"""The values of tasks' parameters: from Python or, as text, from a command line; and what is out of range."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from navstack.errors import InputError, nearest

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


def converted(what: str, value: Any, kind: type) -> Any:
    """The value as a float, int, bool or str. Raises InputError, naming `what`, where it is none."""
    if kind is str and isinstance(value, str):
        return value
    if kind is bool:
        found = _WORDS.get(value.lower()) if isinstance(value, str) else value
        if isinstance(found, bool):
            return found
    elif kind in (int, float):
        number = _number(value)
        if math.isfinite(number) and (kind is float or number == int(number)):
            return kind(number)
    wanted = {float: "a number", int: "a whole number", bool: "true or false", str: "a word"}[kind]
    raise InputError(f"{what} is {value!r}; it must be {wanted}")


def _number(value: Any) -> float:
    """The value as a float, or NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
        return math.nan
    try:
        return float(value)
    except ValueError:
        return math.nan


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Raise InputError, naming `what`, unless low <= value <= high."""
    if not low <= value <= high:
        raise InputError(f"{what} is {value:g}; it must be between {low:g} and {high:g}")


def check_choice(what: str, value: str, choices: Sequence[str]) -> None:
    """Raise InputError, naming `what`, unless the value is one of the choices."""
    if value not in choices:
        raise InputError(
            f"{what} is '{value}'{nearest(value, choices)}; it must be one of {', '.join(choices)}"
        )
