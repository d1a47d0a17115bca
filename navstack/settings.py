"""Options of `navstack fly` from a TOML file: every name is an option's, with underscores."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

import tyro

from navstack.errors import InputError, nearest

T = TypeVar("T")
LARGEST = 1 << 20  # bytes
GUARD = "guard_numbers"  # table of further numbers of the guard
OF_THE_CARD = ("limits", "longest_dt", "latency", "polygon")  # come from the policy, the camera and the fence


def read_settings(path: Path) -> dict[str, Any]:
    """The file's contents. Raises InputError where it is no TOML."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{path}: larger than a megabyte; that is no file of options")
        return tomllib.loads(data.decode())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be read as TOML ({error})") from error


def fly_options(command: type[T], arguments: Sequence[str]) -> T | None:
    """An instance of the command with the file's values as defaults; None without --config.

    Raises InputError for a file, a name or a value that is wrong.
    """
    path = _config_path(arguments)
    if path is None:
        return None
    values = read_settings(path)
    values.pop(GUARD, None)
    hints = typing.get_type_hints(command)
    known = {field.name for field in fields(command)} - {"config"}  # type: ignore[arg-type]
    for name, value in values.items():
        if name not in known:
            raise InputError(f"{path}: no option '{name}'{nearest(name, known)}")
        values[name] = _checked(path, name, value, hints[name])
    return command(**{"policy": tyro.MISSING, "config": path, **values})


def guard_numbers(path: Path | None, defaults: Any) -> dict[str, float]:
    """The numbers in the file's table of the guard, checked against the guard's configuration."""
    table = {} if path is None else read_settings(path).get(GUARD, {})
    known = {field.name for field in fields(defaults)} - set(OF_THE_CARD)
    if not isinstance(table, dict):
        raise InputError(f"{path}: '{GUARD}' is a table of numbers")
    for name, value in table.items():
        if name not in known:
            raise InputError(f"{path}: the guard has no number '{name}'{nearest(name, known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < float("inf"):
            raise InputError(f"{path}: '{GUARD}.{name}' is {value!r}; expected a number, zero or more")
    return {name: float(value) for name, value in table.items()}


def _config_path(arguments: Sequence[str]) -> Path | None:
    for index, argument in enumerate(arguments):
        if argument == "--config" and index + 1 < len(arguments):
            return Path(arguments[index + 1])
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2])
    return None


def _checked(path: Path, name: str, value: Any, hint: Any) -> Any:
    """The value as its option's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _checked(path, name, value, parts[0])
    if origin in (typing.Union, UnionType):
        return _checked(path, name, value, next(part for part in parts if part is not type(None)))
    if origin is typing.Literal:
        if value in parts:
            return value
        raise InputError(f"{path}: '{name}' is {value!r}; expected {' or '.join(map(repr, parts))}")
    if origin is tuple:
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise InputError(f"{path}: '{name}' is {value!r}; expected a list of strings")
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if type(value) is hint:
        return value
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", Path: "a path"}
    raise InputError(f"{path}: '{name}' is {value!r}; expected {kinds.get(hint, hint)}")
