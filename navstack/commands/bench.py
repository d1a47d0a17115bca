"""`navstack bench`: a promise of speed, measured beside what it is promised against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class Bench:
    """Measure one part beside its reference, and compare with its budget.

    Both sides of each ratio are measured in the same run, in turn. The exit status is 1 when a budget is not
    held.
    """

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """Benchmark to run: env, networks, or another that an installed package brings."""
    json: Path | None = None
    """Write the rows here."""

    def __call__(self) -> int:
        """Run it."""
        from navstack.benchmarks import run

        return run(self.name, self.json)
