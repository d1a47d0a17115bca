"""Running a benchmark: its table on the screen, its rows in a file, and whether its budgets are held."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from navstack import plugins
from navstack.files import write_atomically

FIELDS = ("what", "value", "unit", "against", "reference", "ratio", "budget", "held")
Row = dict[str, Any]


def run(name: str, path: Path | None = None) -> int:
    """Run a benchmark by name and print its table; 0 when its budgets are held, else 1.

    A benchmark is a function without arguments, in the entry-point group `navstack.benchmarks`, that returns
    rows with at least FIELDS: numbers or None for what does not apply. Raises InputError for an unknown name,
    a missing extra, and a file that cannot be written.
    """
    entry = plugins.choose(plugins.BENCHMARKS, name, "benchmark")
    function = plugins.load(entry)
    with plugins.naming_extras(entry):
        rows: list[Row] = function()
    for row in rows:
        missing = [field for field in FIELDS if field not in row]
        if missing:
            raise KeyError(f"benchmark '{name}': a row has no '{missing[0]}': {row}")
    if path is not None:
        write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
    Console().print(table(name, rows))
    return 0 if all(row["held"] is not False for row in rows) else 1


def timing_row(what: str, seconds: float, against: str, reference: float, budget: float) -> Row:
    """The row of a duration held against another one of the same run, both in seconds."""
    ratio = seconds / reference
    return {
        "what": what,
        "value": 1e3 * seconds,
        "unit": "ms",
        "against": against,
        "reference": 1e3 * reference,
        "ratio": ratio,
        "budget": budget,
        "held": ratio <= budget,
    }


def table(name: str, rows: list[Row]) -> Table:
    """The rows as a table."""
    result = Table(title=f"navstack bench {name}", title_justify="left")
    for heading in ("what", "measured", "against", "reference", "ratio", "budget", "held"):
        numeric = heading in ("measured", "reference", "ratio", "budget")
        result.add_column(heading, justify="right" if numeric else "left")
    for row in rows:
        held = {True: "[green]yes[/]", False: "[bold red]no[/]"}.get(row["held"], "")
        result.add_row(
            str(row["what"]),
            _number(row["value"], row["unit"]),
            str(row["against"] or ""),
            _number(row["reference"], row["unit"]),
            _number(row["ratio"], "x"),
            _number(row["budget"], "x" if row["ratio"] is not None else row["unit"]),
            held,
        )
    return result


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"
