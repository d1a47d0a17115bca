"""`navstack perturbations`: list the imperfections, and picture them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Perturbations:
    """List the imperfections that environments and evaluations take, with their levels by severity.

    Use one as name:severity, for instance rain:3; several combine in the order given.
    """

    picture: Path | None = None
    """Write a sheet (PNG) that shows each imperfection of the camera at severities 1 to 5 here."""
    world: str = "park"
    """World of the sheet, by name or by path."""
    seed: int = 0
    """Seed of the flight that the sheet shows."""

    def __call__(self) -> int:
        """Print the table and draw the sheet."""
        from navstack.envs.perturb.command import run

        return run(self)
