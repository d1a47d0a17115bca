"""Running a benchmark: its table on the screen, its rows in a file, and whether its budgets are held."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from pathlib import Path
from typing import Any

from navstack import plugins
from navstack.files import write_atomically

Row = dict[str, Any]
FIELDS = ("what", "value", "unit", "against", "reference", "ratio", "budget", "held")


def run(name: str, path: Path | None = None) -> int:
    """Run a benchmark by name and print its table; 0 when its budgets are held, else 1.

    A benchmark is a function without arguments, in the entry-point group `navstack.benchmarks`, that returns
    rows with at least FIELDS: numbers or None for what does not apply. Raises InputError for an unknown name,
    a missing extra, and a file that cannot be written. Every row is given the machine's name.
    """
    entry = plugins.choose(plugins.BENCHMARKS, name, "benchmark")
    function = plugins.load(entry)
    with plugins.naming_extras(entry):
        rows: list[Row] = function()
    for row in rows:
        missing = [field for field in FIELDS if field not in row]
        if missing:
            raise KeyError(f"benchmark '{name}': a row has no '{missing[0]}': {row}")
        row["machine"] = machine()
    if path is not None:
        write_atomically(path, (json.dumps(rows, indent=1) + "\n").encode())
    print(table(name, rows))
    return 0 if all(row["held"] is not False for row in rows) else 1


def timing_row(what: str, seconds: float, against: str, reference: float, budget: float | None) -> Row:
    """The row of a duration held against another one of the same run, both in s; None promises nothing."""
    ratio = seconds / reference
    return {
        "what": what,
        "value": 1e3 * seconds,
        "unit": "ms",
        "against": against,
        "reference": 1e3 * reference,
        "ratio": ratio,
        "budget": budget,
        "held": None if budget is None else ratio <= budget,
    }


def rate_row(what: str, rate: float, against: str, reference: float, budget: float | None) -> Row:
    """The row of a rate held against another one of the same run, both in steps/s; None promises nothing."""
    ratio = rate / reference
    return {
        "what": what,
        "value": rate,
        "unit": "steps/s",
        "against": against,
        "reference": reference,
        "ratio": ratio,
        "budget": budget,
        "held": None if budget is None else ratio >= budget,
    }


def limit_row(what: str, value: float, unit: str, budget: float) -> Row:
    """The row of a figure that is to stay below its budget, in the same unit."""
    row = dict.fromkeys(FIELDS)
    return row | {"what": what, "value": value, "unit": unit, "budget": budget, "held": value <= budget}


def figure_row(what: str, value: float, unit: str) -> Row:
    """The row of a figure that stands for itself."""
    return dict.fromkeys(FIELDS) | {"what": what, "value": value, "unit": unit}


def skipped_row(what: str, why: str) -> Row:
    """The row of what could not be measured here."""
    return dict.fromkeys(FIELDS) | {"what": what, "unit": "", "against": why}


def machine() -> str:
    """The processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}"


def table(name: str, rows: list[Row]) -> str:
    """The rows as a table in Markdown, its columns aligned."""
    lines: list[tuple[str, ...]] = [("what", "measured", "against", "reference", "ratio", "budget", "held")]
    for row in rows:
        lines.append(
            (
                str(row["what"]),
                _number(row["value"], row["unit"]),
                str(row["against"] or ""),
                _number(row["reference"], row["unit"]),
                _number(row["ratio"], "x"),
                _number(row["budget"], "x" if row["ratio"] is not None else row["unit"]),
                {True: "yes", False: "no"}.get(row["held"], ""),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("-" * width for width in widths))
    drawn = ["| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines]
    return "\n".join((f"navstack bench {name} on {machine()}", "", *drawn))


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}"
