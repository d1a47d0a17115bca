"""Commands and benchmarks that installed packages contribute through entry points.

An entry names the extra that it needs in brackets, `train = "package.module:Train [train]"`, and points to a
module with light imports: what is heavy is imported when the command runs.
"""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from navstack.errors import InputError, nearest

COMMANDS = "navstack.commands"
BENCHMARKS = "navstack.benchmarks"


def find(group: str) -> dict[str, EntryPoint]:
    """The entries of a group by name, in alphabetical order."""
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}


def choose(group: str, name: str, what: str) -> EntryPoint:
    """One entry of a group. Raises InputError that names the nearest one."""
    entries = find(group)
    if name not in entries:
        hint = nearest(name, entries) or f"; there are {', '.join(entries)}"
        raise InputError(f"no {what} '{name}'{hint}")
    return entries[name]


@contextlib.contextmanager
def naming_extras(entry: EntryPoint) -> Iterator[None]:
    """Answer a missing package with the `pip install` that brings it, as InputError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == entry.module.partition(".")[0]:
            raise  # a module of its own is missing: that is a mistake in it, and no extra brings it
        package = entry.dist.name if entry.dist else "navstack"
        wanted = f"{package}[{','.join(entry.extras)}]" if entry.extras else package
        raise InputError(
            f"'{entry.name}' needs the package '{error.name}', which is not installed; pip install '{wanted}'"
        ) from error


def load(entry: EntryPoint) -> Any:
    """What an entry points to. Raises InputError where its extra is not installed."""
    with naming_extras(entry):
        return entry.load()


def summary(entry: EntryPoint) -> str:
    """First line of the docstring of what an entry points to, read from its source and not imported.

    Importing a command's module imports its package first, perhaps a whole simulator: too slow for a list.
    """
    try:
        spec = _find_spec(entry.module)
        source = spec.loader.get_source(entry.module)  # type: ignore[union-attr]
        body = ast.parse(source or "").body
    except (ImportError, AttributeError, OSError, SyntaxError):
        return ""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


def _find_spec(module: str) -> ModuleSpec:
    """Where a module's source is, found as the import system does but without importing its packages."""
    path, spec, name = None, None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        found = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((candidate for candidate in found if candidate is not None), None)
        if spec is None:
            raise ModuleNotFoundError(f"no module named '{name}'", name=name)
        path = spec.submodule_search_locations
    assert spec is not None
    return spec
