"""Back ends: other ways to compute the same cell over a sequence, chosen by name.

`torch` is always there. `numba` runs wired CfC and LTC cells on a CPU in float32; it comes with
`pip install 'navstack[fast]'` and compiles in seconds when it first runs (then from its cache). Nothing is
chosen by itself: results differ in the last digits, and a run must not depend on what is installed.
"""

from __future__ import annotations

from importlib.util import find_spec

from torch import nn

from navstack.errors import InputError, nearest

BACKENDS = ("torch", "numba")


def use_backend(module: nn.Module, name: str) -> None:
    """Let all cells in a module that have back ends compute their sequences with this one.

    Raises InputError for an unknown name, where Numba is not installed, and for a module with no such cell.
    """
    if name not in BACKENDS:
        raise InputError(
            f"back end '{name}' not found{nearest(name, BACKENDS)} (back ends: {', '.join(BACKENDS)})"
        )
    if name == "numba" and find_spec("numba") is None:
        raise InputError("the back end numba is not installed: pip install 'navstack[fast]'")
    cells = [cell for cell in module.modules() if name in getattr(cell, "backends", ())]
    if not cells and name != "torch":
        raise InputError(f"this network has no cell that the back end {name} can run; use torch")
    for cell in cells:
        cell.backend = name  # type: ignore[assignment]
